"""AWS as a process of its own: `python -m bot.sandbox.aws --port 0 --speed 60 --state FILE`.

It lives as long as its standard input stays open, so it outlives the bot and never its own parent. FILE gets the
address and the ARNs as JSON once everything is there.
"""

import argparse
import json
import logging
import os
import threading
import time
from pathlib import Path

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_api._internal import mock_random
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from bot.sandbox import aws_seed, aws_shapes, places, releases
from bot.sandbox.aws_front import Front, Switchboard
from bot.sandbox.aws_models import Models
from bot.sandbox.propagation import Propagation

# The same ARNs in every world: a bot's database from yesterday still names the right groups.
_SEED = 20_260_101
_TICK_SECONDS = 0.1
_SLOWEST_TICK_SECONDS = 0.5
# While changed weights are on their way: a tenth of a second is half a minute of the fastest world.
_TURN_SECONDS = 0.01


class Cloud:
    """The emulation: moto with behaviour, its front, and the clock that moves it."""

    def __init__(self, speed: float) -> None:
        if releases.ACCOUNT != DEFAULT_ACCOUNT_ID:
            raise RuntimeError(f"moto's account is {DEFAULT_ACCOUNT_ID}; correct bot/sandbox/releases.py")
        mock_random.seed(_SEED)
        self._speed = speed
        self.board = Switchboard()
        self.models = Models(speed, changed=self.board.change)
        self.built: dict[str, dict[str, object]] = {}
        self._propagation = Propagation()

    def serve(self, port: int) -> str:
        """Start the server in its own thread and return its address."""
        server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        assert server._server is not None
        front = Front(server._server.app, self.board, lock=self.models.lock, snapshot=self.snapshot)
        server._server.app = front
        return f"http://127.0.0.1:{server.get_host_and_port()[1]}"

    def build(self, endpoint: str) -> None:
        """Create everything; from now on services start their tasks one by one."""
        self.built = aws_seed.build(endpoint)
        aws_seed.date_images()
        self.models.settled = False
        self.board.log.clear()
        self.tick()

    def tick(self) -> None:
        """Let time pass once."""
        self.models.step()
        with self.models.lock:
            lag = (self.board.faults.slow_propagation or Propagation.USUAL_SECONDS) / self._speed
            weights = {name: self._weights(name) for name in self.built}
            turned = self._propagation.step(time.monotonic(), weights, lag=lag)
        if turned:
            self.board.change()

    def run(self) -> None:
        """Tick for ever."""
        pause = min(_SLOWEST_TICK_SECONDS, max(_TICK_SECONDS, 1 / self._speed))
        while True:
            self.tick()
            if self._propagation.pending:
                time.sleep(_TURN_SECONDS)
            else:
                self.board.wait(revision=self.board.revision, seconds=pause)

    def snapshot(self) -> dict[str, object]:
        """Return what the traffic and the page need to know, as one JSON value."""
        return {
            "revision": self.board.revision,
            "environments": {name: self._environment(name) for name in self.built},
        }

    def _environment(self, name: str) -> dict[str, object]:
        weights = self._weights(name)
        return {
            "weights": weights,
            "effective": self._propagation.effective.get(name, weights),
            "colours": {colour: self._colour(name, colour) for colour in places.COLOURS},
        }

    def _colour(self, name: str, colour: str) -> dict[str, object]:
        service = self.models.fleet.services[places.PLACES[name].cluster, places.service_name(colour)]
        return {
            "version": aws_shapes.version(service.primary.image),
            "desired": service.desired,
            "running": service.running(),
            "healthy": service.healthy(),
            "rollout": service.primary.rollout,
            "targets": aws_shapes.targets(service.tasks),
        }

    def _weights(self, name: str) -> dict[str, int]:
        """Return the weights that moto's rule holds at this moment, by colour."""
        built = self.built[name]
        rule = self.models.rule_weights(str(built["listener_rule"]))
        groups = built["groups"]
        assert isinstance(groups, dict)
        return {colour: rule.get(groups[colour], 0) for colour in places.COLOURS}


def main() -> None:
    """Run until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox.aws", description="AWS of the sandbox")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--speed", type=float, default=1.0, help="the world's seconds for one real second")
    parser.add_argument("--state", type=Path, required=True, help="file that gets the address and the ARNs")
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    cloud = Cloud(given.speed)
    endpoint = cloud.serve(given.port)
    cloud.build(endpoint)
    ready = given.state.with_suffix(".new")
    ready.write_text(json.dumps({"endpoint": endpoint, "environments": cloud.built}))
    ready.replace(given.state)
    cloud.run()


def _exit_with_parent() -> None:
    # Not sys.stdin: its lock would abort the interpreter when the main thread ends first.
    while os.read(0, 1024):
        continue
    os._exit(0)


if __name__ == "__main__":
    main()
