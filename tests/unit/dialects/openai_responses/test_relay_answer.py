"""An upstream's answer on its way to a caller of the same format."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.openai_responses import RELAY, SERVER
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Finish, Message, Usage
from support.responses_caller import asking, context, relayed, relayed_body, target, types
from support.responses_grammar import check_response, check_stream, payloads_of
from support.responses_stream import sse

Json = dict[str, Any]
VENDOR = context(target=target(provider="openai", kind="openai-responses", hosted_by_vendor=True))
OTHER = context(target=target(kind="openai-responses"))
COUNTS = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 13,
}
WHOLE: Json = json.loads(SERVER.encode_message(Message(finish=Finish(reason="stop")), context()))
"""A Response object with every member."""
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def response(status: str = "in_progress", **members: Any) -> Json:
    """Return a Response object of an upstream, whole."""
    return {
        **WHOLE,
        "id": "resp_up",
        "model": "gpt-x-2026",
        "status": status,
        "usage": None,
        "output": [],
        **members,
    }


def message(status: str = "completed", *parts: Json) -> Json:
    return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": [*parts]}


def begun(**members: Any) -> list[Json]:
    return [
        {"type": f"response.{word}", "response": response(**members)} for word in ("created", "in_progress")
    ]


def hello(*, output: list[Json] | None = None, **members: Any) -> list[Json]:
    """Return the events of an answer that says `Hello`."""
    part = {**PART, "text": "Hello"}
    item = message("completed", part)
    return [
        *begun(**members),
        {"type": "response.output_item.added", "output_index": 0, "item": message("in_progress")},
        {"type": "response.content_part.added", **PLACE, "part": PART},
        {"type": "response.output_text.delta", **PLACE, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", **PLACE, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", **PLACE, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", **PLACE, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {
            "type": "response.completed",
            "response": response("completed", usage=COUNTS, output=[item] if output is None else output, **members),
        },
    ]  # fmt: skip


def raw(payloads: list[Json]) -> bytes:
    """Return a stream as OpenAI spaces it."""
    frames = (
        f"event: {each['type']}\ndata: {json.dumps({**each, 'sequence_number': n}, separators=(',', ':'))}\n\n"
        for n, each in enumerate(payloads)
    )
    return "".join(frames).encode()


class TestStreams:
    @pytest.mark.parametrize("where", [VENDOR, OTHER], ids=["at OpenAI", "elsewhere"])
    def test_only_the_models_name_changes(self, where: Any) -> None:
        data = raw(hello())
        told, facts = relayed(data, where)
        assert told == data.replace(b'"model":"gpt-x-2026"', b'"model":"acme/m"')
        check_stream(told)
        assert facts.done
        assert (facts.upstream_id, facts.upstream_model) == ("resp_up", "gpt-x-2026")
        assert facts.usage == Usage(input=6, cache_read=4, output=3)
        assert facts.finish is not None
        assert (facts.finish.reason, facts.finish.native) == ("stop", "completed")

    @pytest.mark.parametrize("pieces", [1, 7, 1000])
    def test_it_does_not_matter_where_the_bytes_are_cut(self, pieces: int) -> None:
        data = sse(hello())
        assert relayed(data, VENDOR, pieces=pieces)[0] == relayed(data, VENDOR)[0]

    def test_a_name_that_stands_there_twice_is_changed_once(self) -> None:
        tools = [{"type": "image_generation", "model": "gpt-x-2026"}]
        told, _ = relayed(raw(hello(tools=tools)), VENDOR)
        for payload in payloads_of(told):
            if "response" in payload:
                assert payload["response"]["model"] == "acme/m"
                assert payload["response"]["tools"] == tools

    @pytest.mark.parametrize(("status", "told"), [("completed", 1_760_000_009), ("incomplete", None)])
    def test_when_it_was_complete_is_told_where_the_upstream_did_not_say(
        self, status: str, told: Any
    ) -> None:
        whole = {name: value for name, value in response(status).items() if name != "completed_at"}
        where = context(target=target(kind="openai-responses"), clock=lambda: 1_760_000_009.9)
        body, facts = RELAY.message(json.dumps(whole).encode(), where)
        assert facts.failure is None
        assert json.loads(body)["completed_at"] == told

    def test_members_that_are_missing_are_put_in(self) -> None:
        def bare(status: str, **members: Any) -> Json:
            kept = ("id", "object", "created_at", "model", "output", "usage", "status")
            return {name: value for name, value in response(status, **members).items() if name in kept}

        events = hello()
        events[0]["response"] = events[1]["response"] = bare("in_progress")
        events[-1]["response"] = bare("completed", usage=COUNTS, output=events[-1]["response"]["output"])
        where = msgspec.structs.replace(OTHER, body=asking(instructions="be kind", temperature=0.3))
        payloads = check_stream(relayed(raw(events), where)[0])
        assert payloads[-1]["response"].items() >= {"instructions": "be kind", "temperature": 0.3}.items()

    @pytest.mark.parametrize(
        ("counts", "told"),
        [
            (COUNTS | {"x": 1}, COUNTS | {"x": 1}),
            (
                {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13, "x": 1},
                {**COUNTS, "x": 1, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}},
            ),
            (
                {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3},
                COUNTS,
            ),
            (None, None),
            ("many", "many"),
        ],
    )
    def test_counts_are_made_whole(self, counts: Any, told: Any) -> None:
        """Grok Build requires the details (BerriAI/litellm#28899)."""
        events = hello()
        events[-1]["response"]["usage"] = counts
        payloads = payloads_of(relayed(raw(events), OTHER)[0])
        assert payloads[-1]["response"]["usage"] == told
        plain = json.dumps(events[-1]["response"]).encode()
        assert json.loads(RELAY.message(plain, OTHER)[0])["usage"] == told

    def test_the_beginning_waits_for_the_first_item(self) -> None:
        pipe = RELAY.stream_pipe(VENDOR)
        events = [frame + b"\n\n" for frame in raw(hello()).split(b"\n\n")[:-1]]
        assert pipe.feed(events[0]) == pipe.feed(events[1]) == b""
        assert not pipe.facts.began
        assert payloads_of(pipe.feed(events[2]))[0]["type"] == "response.created"
        assert pipe.facts.began

    def test_nothing_is_read_after_the_end(self) -> None:
        pipe = RELAY.stream_pipe(VENDOR)
        pipe.feed(raw(hello()) + raw(hello()))
        assert pipe.feed(b"data: {") == pipe.close() == b""

    def test_done_marks_and_empty_events_are_skipped(self) -> None:
        told, _ = relayed(
            b": hi\n\ndata: \n\n" + raw(hello()[:-1]) + b"data: [DONE]\n\n" + raw(hello()[-1:]), VENDOR
        )
        assert types(payloads_of(told))[-1] == "response.completed"

    def test_a_sign_of_life_becomes_a_comment(self) -> None:
        data = raw(hello())
        alive = b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n'
        cut = data.index(b"event: response.output_item.added")
        later = data.index(b"event: response.output_text.done")
        told, _ = relayed(data[:cut] + alive + data[cut:later] + alive + data[later:], VENDOR)
        assert told.count(b": keep-alive\n\n") == 1
        assert RELAY.stream_pipe(VENDOR).ping() == b": keep-alive\n\n"
        check_stream(told)

    def test_raw_separators_are_escaped(self) -> None:
        events = hello()
        for event in events[4:6]:
            event["delta"] = "a\u2028"
        frames = "".join(
            f"event: {each['type']}\ndata: {json.dumps({**each, 'sequence_number': n}, ensure_ascii=False)}\n\n"
            for n, each in enumerate(events)
        )
        told, _ = relayed(frames.encode(), VENDOR)
        assert b"\\u2028" in told
        assert "\u2028".encode() not in told

    def test_events_nobody_knows_pass(self) -> None:
        events = hello()
        events.insert(
            3, {"type": "response.web_search_call.searching", "item_id": "ws_1", "output_index": 0, "x": 1}
        )
        told, _ = relayed(raw(events), VENDOR)
        assert b'"x":1' in told

    def test_an_event_of_an_odd_form_passes(self) -> None:
        events = hello()
        events.insert(3, {"type": "response.strange", "item_id": 7})
        told, facts = relayed(raw(events), VENDOR)
        assert b'"item_id":7' in told
        assert facts.done

    def test_without_event_lines_the_data_tells(self) -> None:
        data = b"".join(line + b"\n\n" for line in raw(hello()).split(b"\n") if line.startswith(b"data"))
        check_stream(relayed(data, VENDOR)[0])

    def test_the_id_of_the_answer_stays_the_first(self) -> None:
        events = hello()
        events[-1]["response"]["id"] = "resp_else"
        assert payloads_of(relayed(raw(events), VENDOR)[0])[-1]["response"]["id"] == "resp_up"

    @pytest.mark.parametrize(
        ("ending", "reason", "native"),
        [
            ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", "incomplete.max_output_tokens"),
            ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", "incomplete.content_filter"),
            ({"status": "completed", "output": [{"type": "function_call", "id": "fc_1"}]}, "tool_calls", "completed"),
        ],
    )  # fmt: skip
    def test_every_end_is_a_fact(self, ending: Json, reason: str, native: str) -> None:
        events = [*begun(), {"type": "response.completed", "response": response("completed", usage=COUNTS)}]
        events[-1]["response"].update(ending)
        told, facts = relayed(raw(events), VENDOR)
        assert facts.finish is not None
        assert (facts.finish.reason, facts.finish.native) == (reason, native)
        assert types(payloads_of(told))[-1] == f"response.{ending['status']}"

    def test_a_refusal_is_a_fact(self) -> None:
        events = hello()
        events[4] = {"type": "response.refusal.delta", **PLACE, "delta": "no"}
        _, facts = relayed(raw(events), VENDOR)
        assert facts.finish is not None
        assert facts.finish.reason == "refusal"


class TestIdsThatChange:
    """GitHub Copilot gives an item another id in every event."""

    def stream(self) -> bytes:
        item = message("completed", {**PART, "text": "Hello"})
        thought = {"type": "reasoning", "id": "r1", "summary": []}
        blob = {
            **thought,
            "id": "r2",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAA",
        }
        return raw(
            [
                *begun(),
                {"type": "response.output_item.added", "output_index": 0, "item": thought},
                {"type": "response.output_item.done", "output_index": 0, "item": blob},
                {"type": "response.output_item.added", "output_index": 1, "item": message("in_progress")},
                {"type": "response.content_part.added", **PLACE, "output_index": 1, "item_id": "m2", "part": PART},
                {"type": "response.output_text.delta", **PLACE, "output_index": 1, "item_id": "m3", "delta": "Hello", "logprobs": []},
                {"type": "response.output_text.done", **PLACE, "output_index": 1, "item_id": "m4", "text": "Hello", "logprobs": []},
                {"type": "response.content_part.done", **PLACE, "output_index": 1, "item_id": "m5", "part": {**PART, "text": "Hello"}},
                {"type": "response.output_item.done", "output_index": 1, "item": {**item, "id": "m6"}},
                {
                    "type": "response.completed",
                    "response": response("completed", usage=COUNTS, output=[{**blob, "id": "r7"}, {**item, "id": "m8"}]),
                },
            ]
        )  # fmt: skip

    def test_each_keeps_its_first(self) -> None:
        payloads = payloads_of(relayed(self.stream(), OTHER)[0])
        about_message = {payload.get("item_id") for payload in payloads} - {None}
        assert about_message == {"msg_1"}
        assert [item["id"] for item in payloads[-1]["response"]["output"]] == ["r1", "msg_1"]

    def test_a_blob_goes_back_beside_the_id_it_came_with(self) -> None:
        told, _ = relayed(self.stream(), OTHER)
        (thought,) = [
            payload["item"]
            for payload in payloads_of(told)
            if payload.get("item", {}).get("encrypted_content")
        ]
        body, dropped = relayed_body(OTHER.target, input=[{"role": "user", "content": "a"}, thought])
        assert body["input"][1] == {
            "type": "reasoning",
            "id": "r2",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAA",
        }
        assert dropped == ()


class TestTheChatgptBackend:
    def test_its_output_is_in_its_items_alone(self) -> None:
        events = hello(output=[])
        events[-1]["type"] = "response.done"
        data = b'event: codex.rate_limits\ndata: {"type":"codex.rate_limits"}\n\n' + raw(events)
        payloads = check_stream(relayed(data, VENDOR)[0])
        assert payloads[-1]["type"] == "response.completed"
        assert payloads[-1]["response"]["output"][0]["id"] == "msg_1"


class TestServersThatDoNotNumber:
    """llama.cpp b11434 numbers neither events nor items."""

    def unnumbered(self) -> bytes:
        events = [
            {k: v for k, v in each.items() if k not in {"output_index", "content_index"}} for each in hello()
        ]
        return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()

    @pytest.mark.parametrize("pieces", [0, 5])
    def test_their_streams_are_written_anew(self, pieces: int) -> None:
        told, facts = relayed(self.unnumbered(), OTHER, pieces=pieces)
        payloads = check_stream(told)
        assert payloads[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"
        assert (payloads[-1]["response"]["id"], payloads[-1]["response"]["model"]) == ("resp_up", "acme/m")
        assert facts.done
        assert facts.usage == Usage(input=6, cache_read=4, output=3)
        assert facts.upstream_model == "gpt-x-2026"

    def test_a_cut_stream_is_a_failure(self) -> None:
        data = self.unnumbered()
        pipe = RELAY.stream_pipe(OTHER)
        told = pipe.feed(data[: data.index(b"event: response.output_text.done")]) + pipe.close()
        assert isinstance(pipe.facts.failure, BrokenStream)
        payloads = check_stream(told + pipe.fail(pipe.facts.failure))
        assert payloads[-1]["type"] == "response.failed"


class TestFailures:
    def broken(self, data: bytes, where: Any = VENDOR) -> tuple[list[Json], UpstreamError]:
        """Return what the caller gets in the end, and why."""
        pipe = RELAY.stream_pipe(where)
        told = pipe.feed(data) + pipe.close()
        assert pipe.facts.failure is not None
        return payloads_of(told + pipe.fail(pipe.facts.failure)), pipe.facts.failure

    def test_an_overload_right_after_the_beginning_can_still_be_a_status(self) -> None:
        pipe = RELAY.stream_pipe(VENDOR)
        error = {"type": "error", "code": "server_is_overloaded", "message": "Busy", "param": None}
        assert pipe.feed(raw([*begun(), error])) == b""
        assert not pipe.facts.began
        assert pipe.facts.failure is not None
        assert (pipe.facts.failure.kind, pipe.facts.failure.message) == ("overloaded", "Busy")

    def test_if_it_cannot_the_held_beginning_goes_first(self) -> None:
        error = {
            "type": "error",
            "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "Slow down"},
        }
        payloads, failure = self.broken(raw([*begun(), error]))
        assert types(payloads) == ["response.created", "response.in_progress", "response.failed"]
        check_response(payloads[-1]["response"])
        assert payloads[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
        assert failure.kind == "rate_limit"

    def test_a_response_that_failed(self) -> None:
        failed = {
            "type": "response.failed",
            "response": response("failed", error={"code": "server_error", "message": "Oops"}, usage=COUNTS),
        }
        payloads, failure = self.broken(raw([*hello()[:-1], failed]))
        last = payloads[-1]
        assert (last["type"], last["sequence_number"]) == ("response.failed", 10)
        assert last["response"]["error"] == {"code": "server_error", "message": "Oops"}
        assert [item["id"] for item in last["response"]["output"]] == ["msg_1"]
        assert (last["response"]["usage"], last["response"]["model"]) == (COUNTS, "acme/m")
        assert failure.message == "Oops"

    def test_a_response_that_failed_without_a_word(self) -> None:
        failed = {"type": "response.cancelled", "response": response("cancelled")}
        assert "cancelled" in self.broken(raw([*begun(), failed]))[1].message

    def test_an_end_without_a_terminal_event(self) -> None:
        payloads, failure = self.broken(raw(hello()[:-1]))
        assert isinstance(failure, BrokenStream)
        assert payloads[-1]["response"]["status"] == "failed"
        assert [item["id"] for item in payloads[-1]["response"]["output"]] == ["msg_1"]

    def test_an_end_before_any_beginning(self) -> None:
        payloads, failure = self.broken(b"")
        assert isinstance(failure, BrokenStream)
        assert types(payloads) == ["response.created", "response.in_progress", "response.failed"]

    @pytest.mark.parametrize(
        "junk",
        [
            b"data: <html>\n\n",
            b"data: {\n\n",
            b"data: 7\n\n",
            b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n',
            b'event: response.completed\ndata: {"type":"response.completed","sequence_number":0,"response":7}\n\n',
            b'event: x\ndata: {"type":"x","sequence_number":0,"a":' + b"[" * 5000 + b"\n\n",
            b"data: " + b"x" * (17 * 1024 * 1024),
        ],
    )
    def test_what_is_no_event_of_this_format(self, junk: bytes) -> None:
        assert isinstance(self.broken(junk)[1], BrokenStream)

    def test_junk_in_the_middle(self) -> None:
        data = raw(hello())
        cut = data.index(b"event: response.output_text.done")
        _, failure = self.broken(data[:cut] + b"event: response.output_text.delta\ndata: {\n\n" + data[cut:])
        assert isinstance(failure, BrokenStream)

    def test_an_error_without_a_type(self) -> None:
        assert (
            self.broken(b'data: {"error":{"message":"No","code":"invalid_api_key"}}\n\n')[1].message == "No"
        )

    def test_an_object_that_is_nothing_is_skipped(self) -> None:
        told, _ = relayed(b"data: {}\n\n" + raw(hello()), VENDOR)
        check_stream(told)

    def test_half_an_emoji_passes_its_other_half_may_come_next(self) -> None:
        data = raw(hello()).replace(b'"delta":"Hel"', rb'"delta":"Hel\ud83d"')
        told, facts = relayed(data, VENDOR)
        assert facts.done
        assert rb"Hel\ud83d" in told

    def test_half_an_emoji_in_an_item_does_not_break_the_answer(self) -> None:
        data = raw(hello()).replace(b'"text":"Hello"', rb'"text":"Hello\ud83d"')
        assert relayed(data, VENDOR)[1].done
        assert relayed(data, OTHER)[1].done

    def test_too_many_items_are_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pi_model_proxy.dialects.openai_responses.relay_stream.MAX_KEPT_BYTES", 10)
        payloads, _ = self.broken(raw(hello()[:-1]))
        assert payloads[-1]["response"]["output"] == []


class TestPlainAnswers:
    def plain(self, body: Json | bytes, where: Any = VENDOR) -> tuple[bytes, Any]:
        return RELAY.message(body if isinstance(body, bytes) else json.dumps(body).encode(), where)

    def test_the_model_is_the_callers(self) -> None:
        told, facts = self.plain(response("completed", usage=COUNTS, output=[message("completed", PART)]))
        body = json.loads(told)
        check_response(body)
        assert body["model"] == "acme/m"
        assert (facts.done, facts.upstream_model, facts.upstream_id) == (True, "gpt-x-2026", "resp_up")
        assert facts.usage == Usage(input=6, cache_read=4, output=3)
        assert facts.finish.reason == "stop"

    def test_missing_members_are_put_in(self) -> None:
        given = {"id": "resp_1", "object": "response", "created_at": 1, "model": "x", "output": [], "status": "completed", "usage": COUNTS}  # fmt: skip
        told, _ = self.plain(given, msgspec.structs.replace(OTHER, body=asking(user="u")))
        check_response(json.loads(told))
        assert json.loads(told)["user"] == "u"

    @pytest.mark.parametrize(
        ("output", "reason"),
        [
            ([{"type": "function_call", "id": "fc_1"}], "tool_calls"),
            ([message("completed", {"type": "refusal", "refusal": "no"})], "refusal"),
        ],
    )
    def test_how_it_ended_is_a_fact(self, output: list[Json], reason: str) -> None:
        assert self.plain(response("completed", output=output))[1].finish.reason == reason

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"<html>", "not a Responses object"),
            (b"[]", "not a Responses object"),
            (b'{"object":"chat.completion","choices":[]}', "not a Responses object"),
            (b'{"error":{"message":"No such model"}}', "No such model"),
            (b'{"detail":"Bad"}', "Bad"),
            (response("failed", error={"code": "server_error", "message": "Oops"}), "Oops"),
            (response("failed"), "without saying why"),
            (response("in_progress"), "unfinished"),
            (b'{"object":"response","output":[],"x":' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
        ],
    )
    def test_what_is_no_answer_is_a_failure(self, body: Any, words: str) -> None:
        told, facts = self.plain(body)
        assert told == b""
        assert facts.failure is not None
        assert words in facts.failure.message

    def test_an_answer_that_comes_later_is_what_was_asked_for(self) -> None:
        later = msgspec.structs.replace(VENDOR, body=asking(background=True))
        told, facts = self.plain(response("queued"), later)
        assert json.loads(told)["status"] == "queued"
        assert (facts.failure, facts.finish) == (None, None)
        broken = msgspec.structs.replace(VENDOR, body=b'{"background":7}')
        assert self.plain(response("queued"), broken)[1].failure is not None


class TestBounds:
    def test_a_beginning_without_end_is_not_kept(self) -> None:
        data = raw([begun()[0]] * 40 + hello()[2:])
        assert types(payloads_of(relayed(data, VENDOR)[0])).count("response.created") == 16

    def test_a_beginning_in_the_middle_passes(self) -> None:
        events = hello()
        events.insert(4, begun()[1])
        assert types(payloads_of(relayed(raw(events), VENDOR)[0])).count("response.in_progress") == 2

    def test_an_item_without_a_form_passes(self) -> None:
        events = hello()
        events.insert(2, {"type": "response.output_item.added", "output_index": 7})
        events.insert(3, {"type": "response.output_item.done", "output_index": 7, "item": 7})
        told, facts = relayed(raw(events), VENDOR)
        assert facts.done
        assert b'"item":7' in told

    @pytest.mark.parametrize("closing", [True, False])
    def test_text_that_is_no_utf8_is_a_failure(self, *, closing: bool) -> None:
        pipe = RELAY.stream_pipe(VENDOR)
        junk = b'event: x\ndata: {"type":"x","sequence_number":0,"\xff\xfe":1}'
        pipe.feed(junk if closing else junk + b"\n\n")
        pipe.close()
        assert isinstance(pipe.facts.failure, BrokenStream)
