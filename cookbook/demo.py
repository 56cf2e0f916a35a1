"""A LangChain chain and a LlamaIndex query engine over a local Gonka network with failures.

The network checks every signature; its answers come from a small real model. On the way one host
is killed and the epoch changes. Run it with ``make demo``.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from llama_index.core import Document, VectorStoreIndex
from support import llama_index_embeddings

from gonka_integrations import ChatGonka, GonkaConfig, GonkaLLM, GonkaSession
from gonka_integrations.devnet import Devnet
from gonka_integrations.devnet.real_model import RealModel
from gonka_integrations.devnet.upstream import UpstreamEngine

QUESTIONS = ("the sea", "a friend", "music", "the moon", "bread", "a river", "snow", "a garden")
DOCUMENTS = (
    "The Aurora lamp runs for forty hours on one battery. Charging it takes three hours.",
    "The Borealis tent sleeps four people and weighs six kilograms. It stands in ten minutes.",
    "The Cirrus stove boils a litre of water in four minutes and burns any dry wood.",
)
LONGEST_WAIT = 30.0  # seconds for the epoch change to be noticed


class Served(BaseCallbackHandler):
    """Notes who served each LangChain call."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}

    def on_llm_end(self, response: Any, **_: Any) -> None:
        message = response.generations[0][0].message
        self.last = message.response_metadata.get("gonka", {})


def say(text: str = "", end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


class Demo:
    """The network, the session over it, and what is counted on the way."""

    def __init__(self, net: Devnet) -> None:
        self.net = net
        self.served = Served()
        self.failovers = 0
        self.epoch_changed = threading.Event()
        self.names = {host.address: f"host {i}" for i, host in enumerate(net.hosts)}
        self.session = GonkaSession.shared(
            GonkaConfig(
                model=net.models[0],
                private_key=net.private_key,
                source_url=net.source_urls,
                refresh_interval_seconds=2.0,
            )
        )
        self.session.on_failover(self._failed_over)
        self.session.on_epoch_change(self._changed)

    def _failed_over(self, record: Any) -> None:
        self.failovers += 1
        say(f"\n  ! {self.name(record.address)} failed ({record.outcome}); another host takes over")

    def _changed(self, old: int | None, new: int, participants: Any) -> None:
        if old is not None:
            say(f"  * epoch {old} -> {new}: {len(participants)} participants")
            self.epoch_changed.set()

    def name(self, address: str | None) -> str:
        for i, host in enumerate(self.net.hosts):
            self.names.setdefault(host.address, f"host {i}")
        return f"{self.names.get(address or '', 'somebody')} {(address or '')[:14]}…"

    def stream_chain(self, topic: str) -> None:
        model = ChatGonka(session=self.session, model=self.net.models[0], max_tokens=32)
        prompt = ChatPromptTemplate.from_template("Write one short sentence about {topic}.")
        chain = prompt | model | StrOutputParser()
        say(f"\n> one sentence about {topic}\n  ", end="")
        for text in chain.stream({"topic": topic}, {"callbacks": [self.served]}):
            say(text.replace("\n", " "), end="")
        last = self.served.last
        say(f"\n  [{self.name(last.get('address'))}, epoch {last.get('epoch')}]")

    def stream_engine(self, question: str) -> None:
        before = self._calls()
        say(f"\n> {question}\n  ", end="")
        for text in self.engine.query(question).response_gen:
            say(text.replace("\n", " "), end="")
        by = [self.name(who) for who, count in self._calls().items() if count > before[who]]
        say(f"\n  [{', '.join(by)}, epoch {self.session.epoch}]")

    def build_index(self) -> None:
        llm = GonkaLLM(session=self.session, model=self.net.models[0], max_tokens=48)
        documents = [Document(text=text) for text in DOCUMENTS]
        index = VectorStoreIndex.from_documents(documents, embed_model=llama_index_embeddings())
        self.engine = index.as_query_engine(llm=llm, streaming=True, similarity_top_k=1)

    def _calls(self) -> Counter[str]:
        return Counter({host.address: len(host.requests) for host in self.net.hosts})

    def run(self) -> None:
        net = self.net
        say(f"A Gonka network of {len(net.hosts)} hosts, epoch {net.epoch}, model {net.models[0]}")
        say("\n-- LangChain: prompt | ChatGonka | StrOutputParser")
        self.stream_chain(QUESTIONS[0])
        first = self.served.last.get("address")
        victim = max(  # the heaviest of those not used yet: the next one to be asked, most likely
            (i for i, host in enumerate(net.hosts) if host.address != first),
            key=lambda i: net.hosts[i].weight,
        )
        say(f"\n-- {self.name(net.hosts[victim].address)} is killed")
        net.hosts[victim].kill()
        for topic in QUESTIONS[1:] * 3:
            self.stream_chain(topic)
            if self.failovers:
                break
        say("\n-- LlamaIndex: a query engine over three documents")
        self.build_index()
        self.stream_engine("How long does the lamp run on one battery?")
        say("\n-- the epoch changes: the dead host leaves, a new one joins")
        net.advance_epoch(leave=[victim], join=1)
        self.epoch_changed.wait(LONGEST_WAIT)
        self.stream_engine("How heavy is the tent?")
        self.stream_chain(QUESTIONS[-1])
        self.report()

    def report(self) -> None:
        say("\n-- who served what")
        for host in self.net.hosts:
            state = "left" if host not in self.net.participants else "in epoch"
            say(f"  {self.name(host.address)}  {len(host.requests):2d} requests  {state}")
        change = "1 epoch change" if self.epoch_changed.is_set() else "no epoch change seen"
        say(f"  {self.failovers} failover(s), {change}, 0 errors seen by the application")


def main() -> int:
    logging.disable(logging.WARNING)  # the demo shows failures itself
    say("Starting the model (its weights are fetched once, about 95 MB) …")
    with RealModel() as model:
        engine = UpstreamEngine(model.base_url, model=model.name)
        with Devnet(hosts=3, gateways=0, models=(model.name,), engine=engine) as net:
            demo = Demo(net)
            with demo.session:
                demo.run()
    return 0 if demo.failovers and demo.epoch_changed.is_set() else 1


if __name__ == "__main__":
    sys.exit(main())
