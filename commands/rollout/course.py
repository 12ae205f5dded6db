"""How a deployment proceeds between its steps: signals from people, pauses, waits, and the way out.

Everything here runs inside the workflow, so it decides from step results and signals only.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

from bot import durable
from bot.services import Services
from commands.rollout import names, steps
from commands.rollout.endings import Stop
from commands.rollout.records import Done, State, Status, dump, restore

Value = TypeVar("Value")
P = ParamSpec("P")

_REMINDER = timedelta(hours=1)
_TRIES = 200
"""What still raises Unavailable inside a step is the bot's own database: wait for it, about 100 minutes."""


@dataclass
class Course:
    """One run of one deployment's workflow."""

    id: str
    paused: bool = False
    prepared: bool = False
    touched: bool = False
    step: str = ""
    answers: list[dict[str, str]] = field(default_factory=list)

    async def do(
        self,
        kind: type[Value],
        act: Callable[Concatenate[Services, str, P], Awaitable[Value]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Value:
        """Run one durable step and return its record, also when it is replayed from the log."""

        async def run() -> durable.Json:
            value: durable.Json = dump(await act(durable.services(), self.id, *args, **kwargs))
            return value

        return restore(kind, await durable.step(names.STEPS[act], run, attempts=_TRIES))

    async def tell(
        self, act: Callable[Concatenate[Services, str, P], Awaitable[None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run one durable step that has no result."""

        async def run() -> None:
            await act(durable.services(), self.id, *args, **kwargs)

        await durable.step(names.STEPS[act], run, attempts=_TRIES)

    async def begin(self, step: str, *, marked: bool) -> None:
        """Show a step as running; a pause or an abort asked for meanwhile takes effect before it.

        The first step is marked by whoever starts the deployment and has no traffic to move: it does not look back.
        """
        if not marked:
            await self.checkpoint()
            await self.tell(steps.mark, step, str(Status.RUNNING), "")
        self.step = step

    async def done(self, detail: str) -> None:
        """Show the running step as done."""
        await self.tell(steps.mark, self.step, str(Status.DONE), detail)
        self.step = ""

    async def note(self, detail: str) -> None:
        """Show on the card what the running step sees; the thread stays quiet."""
        await self.tell(steps.mark, self.step, str(Status.RUNNING), detail, tell=False)

    async def attempt(self, act: Callable[[Services, str], Awaitable[Done]], *, every: timedelta, tries: int) -> Done:
        """Repeat an effect that answers `retry`; anything else is its result. Raises Stop for a failure."""
        result = Done(code="retry")
        for _ in range(tries):
            result = await self.do(Done, act)
            if result.code != "retry":
                break
            await self.rest(every)
        if result.code != "ok":
            raise Stop(result.code, result.sentence)
        return result

    async def checkpoint(self) -> None:
        """Take in what people asked for since the last wait. Raises Stop for an abort."""
        while await self._take(timedelta(0)) or self.paused:
            if self.paused:
                await self._take(_REMINDER)

    async def rest(self, span: timedelta) -> None:
        """Wait, or wake early for one signal; a further one wakes the next wait. Raises Stop for an abort."""
        await self._take(span)

    async def wait_for(self, kind: str, span: timedelta) -> dict[str, str] | None:
        """Wait for one kind of answer; None when none came in the whole span, whatever else arrived meanwhile."""
        began = await self.do(float, steps.moment)
        left = span
        while left > timedelta(0):
            await self.rest(left)
            found = next((answer for answer in self.answers if answer["kind"] == kind), None)
            if found is not None:
                return found
            left = span - timedelta(seconds=await self.do(float, steps.moment) - began)
        return None

    async def breathe(self, span: timedelta) -> None:
        """Wait on the way back, where nothing that people ask for may interrupt; what they ask is kept."""
        signal = await durable.receive(span)
        if signal is not None:
            self.answers.append(_texts(signal))

    def answer(self) -> dict[str, str] | None:
        """Return the oldest answer to a question that has not been read yet."""
        return self.answers.pop(0) if self.answers else None

    async def _take(self, span: timedelta) -> bool:
        signal = await durable.receive(span)
        if signal is not None:
            await self._heed(_texts(signal))
        return signal is not None

    async def _heed(self, signal: dict[str, str]) -> None:
        kind, name = signal["kind"], signal.get("name", "")
        if kind == "abort":
            raise Stop("aborted", f"{name} aborted it", person=name)
        if kind in {"pause", "resume"}:
            await self._pause(name, paused=kind == "pause", key=signal.get("key", kind))
            return
        self.answers.append(signal)

    async def _pause(self, name: str, *, paused: bool, key: str) -> None:
        if self.paused == paused:
            return
        self.paused = paused
        state = State.PAUSED if paused else State.RUNNING
        verb = "paused it: the current step ends, the next one waits" if paused else "resumed it"
        mark = ":double_vertical_bar:" if paused else ":arrow_forward:"
        await self.tell(steps.set_state, str(state), f"{mark} {name} {verb}.", key)


def _texts(signal: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in signal.items()}
