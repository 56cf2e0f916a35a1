"""Ships a model to two worker processes, several times; prints what they say, as JSON."""

from __future__ import annotations

import json
import os
import sys

import ray

from gonka_integrations import ChatGonka

TIMES = 3


@ray.remote(num_cpus=0.1)
class Worker:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.models: list[ChatGonka] = []

    def take(self, model: ChatGonka) -> str:
        self.models.append(model)
        return model.invoke("hello").text

    def tell(self) -> dict[str, int]:
        sessions = {id(model.session) for model in self.models}
        objects = {id(model) for model in self.models}
        read = sum(len(model.session.participants()) for model in self.models)
        return {
            "pid": os.getpid(),
            "models": len(objects),
            "sessions": len(sessions),
            "participants": read,
        }


def main() -> None:
    model = ChatGonka(model="gonka/test-model", endpoints=sys.argv[1].split(","), source_url=[])
    ray.init(num_cpus=1, log_to_driver=False)
    workers = [Worker.remote() for _ in range(2)]
    answers = ray.get([one.take.remote(model) for one in workers for _ in range(TIMES)])
    told = ray.get([one.tell.remote() for one in workers])
    ray.shutdown()
    print(json.dumps({"answers": answers, "told": told}))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
