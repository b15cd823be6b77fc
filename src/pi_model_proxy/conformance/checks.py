"""The table of checks. Each asks a server something and says what is wrong with the answer."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from pi_model_proxy.conformance.client import Reply, Sent
from pi_model_proxy.conformance.dialect import About, Answer, Call, Json, Tool, Usage, Wish, Wrong, at, parsed
from pi_model_proxy.conformance.trial import Trial

__all__ = ["CHECKS", "Check"]

SHORT_TOKENS: Final = 16
"""The least that Responses takes for `max_output_tokens`."""
LENGTH_SLACK: Final = 2
"""So many tokens more than asked may be counted: servers count the end mark or not."""
PICTURE_SIDE: Final = 64
LONG: Final = "The quick brown fox jumps over the lazy dog while seven wizards watch. " * 4
UNKNOWN: Final = "no-such-model-4711"
BAD_REQUEST: Final = frozenset({400, 422})
NOT_FOUND: Final = frozenset({400, 404})
OK: Final = 200

_CITY: Final[Json] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of a city"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Final = Tool(name="get_weather", description="Tells the weather of a city now.", schema=_CITY)
TIME: Final = Tool(name="get_time", description="Tells the time of day in a city.", schema=_CITY)
PERSON: Final[Json] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table."""

    id: str
    what: str
    """What a server must do, as a sentence."""
    how: str
    """What is asked and what must hold."""
    topic: str
    """Which of a dialect's pages it stands on (`sources.PAGES`)."""
    run: Callable[[Trial], Awaitable[None]]
    whole: bool = True
    """Whether it is asked without streaming."""
    streamed: bool = True


def _must(fits: object, what: str) -> None:
    if not fits:
        raise Wrong(what)


def _clean(answer: Answer, about: About) -> None:
    faults = [what for part, what in answer.faults if part == about]
    if faults:
        raise Wrong("; ".join(faults))


def _counts(answer: Answer) -> Usage:
    if answer.usage is None:
        raise Wrong("the answer has no usage")
    return answer.usage


async def _text(trial: Trial) -> None:
    _must((await trial.ask(trial.wish)).text.strip(), "the answer has no text")


async def _shape(trial: Trial) -> None:
    _clean(await trial.ask(trial.wish), "shape")


async def _pieces(trial: Trial) -> None:
    answer = await trial.ask(replace(trial.wish, prompt="Count from one to twenty in words."))
    _must(answer.pieces > 1, f"the text came in {answer.pieces} piece")


async def _system(trial: Trial) -> None:
    await _more_input(trial, replace(trial.wish, system=LONG), "a system text")


async def _turns(trial: Trial) -> None:
    await _more_input(trial, replace(trial.wish, earlier=((LONG, LONG),)), "an earlier turn")


async def _more_input(trial: Trial, more: Wish, what: str) -> None:
    plain, fuller = _counts(await trial.ask(trial.wish)), _counts(await trial.ask(more))
    _must(
        fuller.input > plain.input,
        f"{what} does not add to the input: {plain.input} and {fuller.input} tokens",
    )


async def _stop(trial: Trial) -> None:
    answer = await trial.ask(trial.wish)
    _must(answer.finish == "stop", f"a whole answer ends with {answer.finish!r}")


async def _length(trial: Trial) -> None:
    prompt = "Write the numbers from one to two hundred in words."
    answer = await trial.ask(replace(trial.wish, prompt=prompt, max_tokens=SHORT_TOKENS))
    _must(answer.finish == "length", f"an answer cut at {SHORT_TOKENS} tokens ends with {answer.finish!r}")
    output = _counts(answer).output
    _must(output <= SHORT_TOKENS + LENGTH_SLACK, f"{output} tokens came instead of {SHORT_TOKENS}")


async def _stop_sequence(trial: Trial) -> None:
    """Stop at a word from the middle of an answer to the same question."""
    first = (await trial.ask(trial.wish)).text
    words = [word for word in first.split() if word.isalpha()]
    _must(words, "the answer has no word to stop at")
    word = words[len(words) // 2]
    answer = await trial.ask(replace(trial.wish, stop=word))
    _must(word not in answer.text, f"the stop sequence {word!r} stands in the answer")
    # A model that says something else the second time may never come to the word.
    cut = first.startswith(answer.text)
    _must(not cut or answer.finish == "stop", f"an answer cut at a stop sequence ends with {answer.finish!r}")


async def _usage(trial: Trial) -> None:
    answer = await trial.ask(trial.wish)
    usage = _counts(answer)
    _must(usage.input > 0 and usage.output > 0, f"input is {usage.input}, output is {usage.output}")
    total = usage.input + usage.output
    _must(usage.total in {None, total}, f"total is {usage.total}; input and output make {total}")
    _clean(answer, "usage")


def _offer(trial: Trial) -> Wish:
    prompt = "What is the weather in Paris? Use the tool get_weather."
    return replace(trial.wish, model=trial.models.tools, prompt=prompt, tools=(WEATHER,))


def _check_call(call: Call) -> None:
    _must(isinstance(call.arguments.get("city"), str), f"the arguments {call.arguments} have no city")


async def _tool(trial: Trial) -> None:
    answer = await trial.ask(_offer(trial))
    _must(len(answer.calls) == 1, f"there are {len(answer.calls)} calls instead of one")
    _must(answer.calls[0].name == WEATHER.name, f"the call is of {answer.calls[0].name!r}")
    _check_call(answer.calls[0])
    _clean(answer, "calls")


async def _tool_finish(trial: Trial) -> None:
    answer = await trial.ask(_offer(trial))
    _must(
        answer.finish == "tool_calls", f"an answer with {len(answer.calls)} calls ends with {answer.finish!r}"
    )


async def _parallel(trial: Trial) -> None:
    prompt = "Tell the weather and the time in Paris: call get_weather and get_time in parallel."
    answer = await trial.ask(replace(_offer(trial), prompt=prompt, tools=(WEATHER, TIME)))
    names = sorted(call.name for call in answer.calls)
    _must(names == [TIME.name, WEATHER.name], f"the calls are {names}")
    for call in answer.calls:
        _check_call(call)
    # Gemini's and Ollama's calls may have no id; those that are there must differ.
    ids = [call.id for call in answer.calls if call.id]
    _must(len(set(ids)) == len(ids), "two calls have one id")
    _clean(answer, "calls")


async def _tool_result(trial: Trial) -> None:
    offer = _offer(trial)
    called = await trial.ask(offer)
    _must(called.calls, "there was no call to answer")
    results = tuple("Sunny, 21 degrees." for _ in called.calls)
    told = await trial.ask(replace(offer, after=called, results=results))
    _must(told.text.strip(), "there is no text after the tool's result")
    _must(told.finish == "stop", f"the answer after the tool's result ends with {told.finish!r}")


async def _tool_forced(trial: Trial) -> None:
    answer = await trial.ask(replace(_offer(trial), prompt="Hello!", tools=(WEATHER, TIME), choice=TIME.name))
    names = {call.name for call in answer.calls}
    _must(names == {TIME.name}, f"{TIME.name} had to be called; the calls are {sorted(names)}")


async def _tool_none(trial: Trial) -> None:
    answer = await trial.ask(replace(_offer(trial), choice="none"))
    _must(not answer.calls, "a tool is called though none may be")


async def _thinking(trial: Trial) -> None:
    prompt = "What is 17 times 23? Think first."
    answer = await trial.ask(replace(trial.wish, model=trial.models.thinking, prompt=prompt, thinking=True))
    hidden = answer.usage.reasoning if answer.usage else 0
    _must(answer.thinking.strip() or hidden, "there is neither thinking nor a count of it")
    _must(answer.text.strip(), "there is no text after the thinking")
    _clean(answer, "thinking")


async def _image(trial: Trial) -> None:
    wish = replace(trial.wish, model=trial.models.vision, prompt="What colour is this picture?")
    plain, seen = await trial.ask(wish), await trial.ask(replace(wish, image=_PICTURE))
    _must(seen.text.strip(), "the answer has no text")
    before, after = _counts(plain).input, _counts(seen).input
    _must(after > before, f"a picture does not add to the input: {before} and {after} tokens")


async def _schema(trial: Trial) -> None:
    prompt = "Make up a person: name and age."
    answer = await trial.ask(replace(trial.wish, prompt=prompt, schema=PERSON))
    person = parsed(answer.text, "the text")
    at(person, "name", kind=str)
    at(person, "age", kind=int)
    _must(set(person) == {"name", "age"}, f"the object has the members {sorted(person)}")


async def _json(trial: Trial) -> None:
    prompt = "Answer with a JSON object that has the members name and age."
    answer = await trial.ask(replace(trial.wish, prompt=prompt, any_json=True))
    _must(isinstance(parsed(answer.text, "the text"), dict), "the text is JSON but no object")


async def _unknown_model(trial: Trial) -> None:
    reply = await trial.send(trial.dialect.request(replace(trial.wish, model=UNKNOWN)))
    _refused(trial, reply, NOT_FOUND)


async def _bad_json(trial: Trial) -> None:
    sent = trial.dialect.request(trial.wish)
    _refused(trial, await trial.send(replace(sent, body=b'{"model": "' + b"x" * 20)), BAD_REQUEST)


async def _bad_field(trial: Trial) -> None:
    sent = trial.dialect.request(trial.wish)
    changed = sent.body | trial.dialect.bad_request(trial.models.text)
    body = {name: value for name, value in changed.items() if value is not None}
    _refused(trial, await trial.send(replace(sent, body=body)), BAD_REQUEST)


def _refused(trial: Trial, reply: Reply, statuses: frozenset[int]) -> None:
    wanted = " or ".join(map(str, sorted(statuses)))
    _must(reply.status in statuses, f"status {reply.status} instead of {wanted}")
    _must(trial.dialect.error(parsed(reply.body, "the error")).strip(), "the error has an empty message")


async def _disconnect(trial: Trial) -> None:
    await trial.leave(replace(trial.wish, prompt="Write the numbers from one to two hundred in words."))
    answer = await trial.ask(trial.wish)
    _must(answer.text.strip(), "the request after a disconnect has no answer")


async def _models(trial: Trial) -> None:
    body = await _listed(trial, trial.dialect.models())
    names = trial.dialect.names(body)
    _must(trial.models.text in names, f"{trial.models.text} is not among the {len(names)} models")


async def _count(trial: Trial) -> None:
    short, long = trial.wish, replace(trial.wish, prompt=LONG)
    few = trial.dialect.counted(await _listed(trial, trial.dialect.count(short)))
    many = trial.dialect.counted(await _listed(trial, trial.dialect.count(long)))
    _must(0 < few < many, f"a short text counts {few} tokens, a long one {many}")


async def _listed(trial: Trial, sent: Sent) -> Json:
    reply = await trial.send(sent)
    _must(reply.status == OK, f"status {reply.status} instead of 200")
    body = parsed(reply.body, "the answer")
    return at({"answer": body}, "answer", kind=dict)


def _picture() -> str:
    """Return a red PNG in base64 (https://www.w3.org/TR/png-3/)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", PICTURE_SIDE, PICTURE_SIDE, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * PICTURE_SIDE) * PICTURE_SIDE
    whole = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return base64.b64encode(whole).decode()


_PICTURE: Final = _picture()

CHECKS: Final = (
    Check(
        id="text",
        what="Answers with text.",
        topic="create",
        run=_text,
        how="A greeting; the answer has text.",
    ),
    Check(
        id="shape",
        what="Answers in the shape that SDKs read.",
        topic="object",
        run=_shape,
        how="A greeting; media type, required members, order of events, indexes and ids that belong together.",
    ),
    Check(
        id="pieces",
        what="Streams piece by piece.",
        topic="object",
        run=_pieces,
        whole=False,
        how="A longer answer; its text comes in more than one event.",
    ),
    Check(
        id="system",
        what="Reads the system text.",
        topic="create",
        run=_system,
        how="A greeting without and with a system text; the second counts more input.",
    ),
    Check(
        id="turns",
        what="Reads earlier turns.",
        topic="create",
        run=_turns,
        how="A greeting without and with an earlier turn; the second counts more input.",
    ),
    Check(
        id="stop",
        what="Says that an answer ended by itself.",
        topic="object",
        run=_stop,
        how="A greeting; stop, end_turn, completed or STOP.",
    ),
    Check(
        id="length",
        what="Stops at the limit and says so.",
        topic="object",
        run=_length,
        how=f"A long answer within {SHORT_TOKENS} tokens; length, max_tokens, incomplete or MAX_TOKENS.",
    ),
    Check(
        id="stop-sequence",
        what="Stops at a stop sequence.",
        topic="create",
        run=_stop_sequence,
        how="The same question again with a word of the first answer as stop sequence; it is not in the second.",
    ),
    Check(
        id="usage",
        what="Counts tokens.",
        topic="object",
        run=_usage,
        how="A greeting; input and output above 0, and a total that is their sum.",
    ),
    Check(
        id="tool",
        what="Calls a tool.",
        topic="tools",
        run=_tool,
        how="One tool offered; one call of it with a JSON object that has the required member.",
    ),
    Check(
        id="tool-finish",
        what="Says that it stopped for a call.",
        topic="tools",
        run=_tool_finish,
        how="One tool offered; tool_calls or tool_use (Responses, Gemini, Ollama: a call and a plain end).",
    ),
    Check(
        id="tool-parallel",
        what="Calls tools in parallel.",
        topic="tools",
        run=_parallel,
        how="Two tools offered, both asked for; two calls with ids of their own.",
    ),
    Check(
        id="tool-result",
        what="Goes on after a tool's result.",
        topic="tools",
        run=_tool_result,
        how="The call sent back as it came, with a result; text and a plain end follow.",
    ),
    Check(
        id="tool-forced",
        what="Calls the tool that must be called.",
        topic="tools",
        run=_tool_forced,
        how="Two tools, the second demanded; only it is called.",
    ),
    Check(
        id="tool-none",
        what="Calls no tool when none may be called.",
        topic="tools",
        run=_tool_none,
        how="One tool with the choice none; there is no call.",
    ),
    Check(
        id="thinking",
        what="Shows or counts its thinking.",
        topic="thinking",
        run=_thinking,
        how="Thinking asked for; thinking text or a count of reasoning tokens, then text.",
    ),
    Check(
        id="image",
        what="Sees images.",
        topic="images",
        run=_image,
        how="A question without and with a PNG; the second counts more input and is answered.",
    ),
    Check(
        id="schema",
        what="Answers by a JSON Schema.",
        topic="output",
        run=_schema,
        how="A schema with two members; the text is an object with just these.",
    ),
    Check(
        id="json",
        what="Answers with a JSON object.",
        topic="output",
        run=_json,
        how="JSON without a schema; the text is an object.",
    ),
    Check(
        id="unknown-model",
        what="Refuses an unknown model.",
        topic="errors",
        run=_unknown_model,
        how="Status 404 or 400 and the dialect's error, also where a stream was asked for.",
    ),
    Check(
        id="bad-json",
        what="Refuses broken JSON.",
        topic="errors",
        run=_bad_json,
        how="Half a body; status 400 (or 422) and the dialect's error.",
    ),
    Check(
        id="bad-field",
        what="Refuses a request without what it needs.",
        topic="errors",
        run=_bad_field,
        how="No messages, contents or model, for Responses an input of the wrong type; status 400 (or 422) and the dialect's error.",
    ),
    Check(
        id="disconnect",
        what="Survives a caller that leaves.",
        topic="create",
        run=_disconnect,
        how="A long answer abandoned (streamed: after its first byte); the next request is answered.",
    ),
    Check(
        id="models",
        what="Lists its models.",
        topic="models",
        run=_models,
        streamed=False,
        how="The list has the members that SDKs read, and the model that is asked here.",
    ),
    Check(
        id="count",
        what="Counts tokens beforehand.",
        topic="count",
        run=_count,
        streamed=False,
        how="A short and a long text; both counted, the long one higher.",
    ),
)
