"""The names under which steps are recorded: data in production. A function may be renamed, its name here not."""

from collections.abc import Callable, Mapping

from commands.rollout import looks, planning, steps

STEPS: Mapping[Callable[..., object], str] = {
    planning.make_plan: "make_plan",
    planning.ask: "ask",
    planning.expire: "expire",
    planning.withdraw: "withdraw",
    planning.look_again: "look_again",
    looks.idle: "idle",
    looks.verify: "verify",
    looks.traffic: "traffic",
    looks.baseline: "baseline",
    looks.reading: "reading",
    steps.prepare: "prepare",
    steps.switch: "switch",
    steps.switch_back: "switch_back",
    steps.stop_idle: "stop_idle",
    steps.retire: "retire",
    steps.resume_scaling: "resume_scaling",
    steps.moment: "moment",
    steps.mark: "mark",
    steps.set_state: "set_state",
    steps.put_question: "put_question",
    steps.open_hold: "open_hold",
    steps.finish: "finish",
}
