"""Everything that a `generateContent` request can say, one small request each.

Source: google-genai 3.4.0 (`types.py`: GenerateContentConfig, GenerationConfig, Part, Tool, ToolConfig).
"""

from __future__ import annotations

from typing import Any, Final

from support.silence import GONE, Case

__all__ = ["GEMINI_CASES", "GEMINI_DOCUMENTED", "GEMINI_SAYS_NOTHING", "GEMINI_VALUES"]

Json = dict[str, Any]

PNG: Final = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
PDF: Final = {"mimeType": "application/pdf", "data": "JVBERi0xLjQK"}
CITY: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Final = {"name": "weather", "parametersJsonSchema": CITY}
OTHER: Final = {"name": "other", "parametersJsonSchema": {"type": "object", "properties": {}}}
CALL: Final = {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Rome"}}}


def _base(**fields: Any) -> Json:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **fields}


def _field(name: str, value: Any, **beside: Any) -> Case:
    return Case(name, _base(**{name: value}, **beside), (name,))


def _config(name: str, value: Any, **beside: Any) -> Case:
    body = _base(generationConfig={name: value, **beside})
    return Case(f"generationConfig.{name}", body, (f"generationConfig.{name}",))


def _part(name: str, part: Json, role: str = "user") -> Case:
    contents: list[Json] = [{"role": role, "parts": [{"text": "look"}, part]}]
    if role != "user":
        contents.append({"role": "user", "parts": [{"text": "hi"}]})
    return Case(name, {"contents": contents}, ("contents[0].parts[1]",))


def _tool(name: str, tool: Json) -> Case:
    return Case(name, _base(tools=[tool, {"functionDeclarations": [OTHER]}]), ("tools[0]",))


def _function(name: str, function: Json) -> Case:
    body = _base(tools=[{"functionDeclarations": [function, OTHER]}])
    return Case(name, body, ("tools[0].functionDeclarations[0]",))


def _choice(name: str, calling: Json, **beside: Any) -> Case:
    body = _base(
        tools=[{"functionDeclarations": [TOOL, OTHER]}],
        toolConfig={"functionCallingConfig": calling, **beside},
    )
    return Case(name, body, ("toolConfig",))


def _result(name: str, result: Json, call: Json = CALL, about: str = "contents[2].parts[0]") -> Case:
    contents = [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [call]},
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]
    return Case(name, {"contents": contents, "tools": [{"functionDeclarations": [TOOL]}]}, (about,))


GEMINI_CASES: Final = (
    # Around the conversation.
    _field("systemInstruction", {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}),
    Case("a system instruction as text", _base(systemInstruction="Be brief."), ("systemInstruction",)),
    Case(
        "a picture among the instructions",
        _base(systemInstruction={"parts": [{"inlineData": PNG}, {"text": "Be brief."}]}),
        ("systemInstruction",),
    ),
    Case(
        "instructions spelt the other way",
        _base(system_instruction={"parts": [{"text": "Be brief."}]}),
        ("system_instruction",),
    ),
    _field("safetySettings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]),
    _field("cachedContent", "cachedContents/abc"),
    _field("labels", {"team": "blue"}),
    _field("serviceTier", "flex"),
    Case("another tier", _base(serviceTier="ultra"), ("serviceTier",)),
    _field("store", True),
    _field("continuationToken", "dG9rZW4="),
    _field("extra_headers", {"x": "y"}),
    _field("a_field_of_next_year", {"deep": {"er": 1}}),
    # Sampling and limits.
    _config("temperature", 0.5),
    _config("topP", 0.5),
    _config("topK", 20),
    _config("seed", 7),
    _config("presencePenalty", 0.5),
    _config("frequencyPenalty", 0.5),
    _config("responseLogprobs", True),
    _config("logprobs", 3, responseLogprobs=True),
    _config("maxOutputTokens", 2000),
    _config("stopSequences", ["END", "STOP", "FIN", "ENDE", "FINE", "FINIS"]),
    _config("candidateCount", 2),
    _config("responseModalities", ["IMAGE"]),
    _config("mediaResolution", "MEDIA_RESOLUTION_LOW"),
    _config("speechConfig", {"languageCode": "de"}),
    _config("imageConfig", {"aspectRatio": "1:1"}),
    _config("audioTimestamp", True),
    _config("enableEnhancedCivicAnswers", True),
    _config("a_field_of_next_year", 1),
    Case(
        "numbers as protocol buffers write them",
        _base(generation_config={"max_output_tokens": "2000", "top_k": "20"}),
        ("generation_config",),
    ),
    # Thinking.
    _config("thinkingConfig", {"includeThoughts": True, "thinkingBudget": 2048}),
    Case(
        "thinking by level",
        _base(generationConfig={"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}}),
        ("generationConfig.thinkingConfig.thinkingLevel",),
    ),
    Case(
        "level and budget",
        _base(generationConfig={"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 4096}}),
        ("generationConfig.thinkingConfig",),
    ),
    # The form of the answer.
    _config("responseMimeType", "application/json"),
    Case(
        "a word of a list",
        _base(generationConfig={"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}),
        ("generationConfig.responseMimeType",),
    ),
    Case(
        "an answer by JSON Schema",
        _base(generationConfig={"responseMimeType": "application/json", "responseJsonSchema": CITY}),
        ("generationConfig.responseJsonSchema",),
    ),
    Case(
        "an answer by Google's schema",
        _base(
            generationConfig={
                "responseMimeType": "application/json",
                "responseSchema": {
                    "type": "OBJECT",
                    "properties": {"city": {"type": "STRING", "nullable": True, "description": "Where"}},
                    "required": ["city"],
                },
            }
        ),
        ("generationConfig.responseSchema",),
    ),
    Case(
        "both schemas",
        _base(
            generationConfig={
                "responseMimeType": "application/json",
                "responseJsonSchema": CITY,
                "responseSchema": {"type": "STRING"},
            }
        ),
        ("generationConfig.responseSchema",),
    ),
    Case(
        "a schema for text",
        _base(generationConfig={"responseMimeType": "text/plain", "responseSchema": {"type": "STRING"}}),
        ("generationConfig.responseSchema",),
    ),
    _config("responseFormat", [{"text": {"mimeType": "APPLICATION_JSON", "schema": CITY}}]),
    Case(
        "an answer as sound",
        _base(generationConfig={"responseFormat": [{"audio": {"mimeType": "audio/wav"}}]}),
        ("generationConfig.responseFormat",),
    ),
    # Tools.
    _function("a function", {"description": "Tells the weather.", **TOOL}),
    _function(
        "a function by Google's schema",
        {
            "name": "weather",
            "description": "w",
            "parameters": {
                "type": "OBJECT",
                "properties": {
                    "n": {"type": "INTEGER", "minimum": 1},
                    "l": {"type": "ARRAY", "items": {"type": "STRING"}},
                },
                "required": ["n"],
            },
        },
    ),
    _function("both schemas of a function", {"parameters": {"type": "OBJECT"}, **TOOL}),
    _function(
        "what a function gives back",
        {
            **TOOL,
            "response": {"type": "STRING"},
            "behavior": "NON_BLOCKING",
        },
    ),
    _function("what a function gives back, by JSON Schema", {**TOOL, "responseJsonSchema": CITY}),
    _tool("googleSearch", {"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}}),
    _tool("codeExecution", {"codeExecution": {}}),
    _tool("urlContext", {"urlContext": {}}),
    _tool("fileSearch", {"fileSearch": {"fileSearchStoreNames": ["s"]}}),
    _tool("googleMaps", {"googleMaps": {"enableWidget": True}}),
    _tool("computerUse", {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}),
    _tool("mcpServers", {"mcpServers": [{"name": "m"}]}),
    Case("the only tool is Google's", _base(tools=[{"google_search": {}}]), ("tools",)),
    _choice("AUTO", {"mode": "AUTO"}),
    _choice("ANY", {"mode": "ANY"}),
    _choice("NONE", {"mode": "NONE"}),
    _choice("VALIDATED", {"mode": "VALIDATED"}),
    _choice("one function", {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    _choice("some functions", {"mode": "VALIDATED", "allowedFunctionNames": ["weather", "other"]}),
    _choice("names beside AUTO", {"mode": "AUTO", "allowedFunctionNames": ["weather"]}),
    _choice("arguments as they come", {"mode": "ANY", "streamFunctionCallArguments": True}),
    _choice(
        "where the user is",
        {"mode": "ANY"},
        retrievalConfig={"latLng": {"latitude": 1.5}},
        includeServerSideToolInvocations=True,
    ),
    # Parts.
    _part("text", {"text": "words"}),
    _part("a picture", {"inlineData": PNG}),
    _part("a picture with a name", {"inlineData": {**PNG, "displayName": "cat"}}),
    _part("how a picture is looked at", {"inlineData": PNG, "mediaResolution": {"level": "LOW"}}),
    _part("a PDF", {"inlineData": {**PDF, "displayName": "thesis"}}),
    _part("a text file", {"inlineData": {"mimeType": "text/plain", "data": "aGVsbG8="}}),
    _part("sound", {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
    _part("a film", {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"fps": 1}}),
    _part(
        "a picture of the web",
        {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
    ),
    _part(
        "a document of the web",
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a"}},
    ),
    _part("a film of the web", {"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}}),
    _part("a file of Google's", {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}}),
    _part("a part of next year", {"hologram": {"data": "x"}}),
    _part("metadata of a part", {"text": "words", "partMetadata": {"a": 1}}),
    _part("code", {"executableCode": {"language": "PYTHON", "code": "1+1"}}, role="model"),
    _part("what code gave", {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}, role="model"),
    _part("a thought", {"text": "hm", "thought": True}, role="model"),
    _part("a signed thought", {"text": "hm", "thought": True, "thoughtSignature": "QUJD"}, role="model"),
    _part("signed text", {"text": "words", "thoughtSignature": "QUJD"}, role="model"),
    _part("a token alone", {"text": "", "thought_signature": "QUJD"}, role="model"),
    _result("a result", {"id": "c1", "name": "weather", "response": {"output": "sunny"}}),
    _result("a failure", {"id": "c1", "name": "weather", "response": {"error": "no"}}),
    _result("an object", {"id": "c1", "name": "weather", "response": {"sky": "blue", "t": 3}}),
    _result("another name", {"id": "c1", "name": "climate", "response": {"output": "sunny"}}),
    _result(
        "a picture in a result",
        {"id": "c1", "name": "weather", "response": {"output": "see"}, "parts": [{"inlineData": PNG}]},
    ),
    _result(
        "a result in pieces",
        {
            "id": "c1",
            "name": "weather",
            "response": {"output": "x"},
            "willContinue": True,
            "scheduling": "WHEN_IDLE",
        },
    ),
    _result(
        "a signed call",
        {"id": "c1", "name": "weather", "response": {"output": "sunny"}},
        call={**CALL, "thoughtSignature": "QUJD"},
        about="contents[1].parts[0]",
    ),
    _result(
        "a call in pieces",
        {"id": "c1", "name": "weather", "response": {"output": "sunny"}},
        call={"functionCall": {**CALL["functionCall"], "willContinue": True}},
        about="contents[1].parts[0]",
    ),
    Case(
        "a member of a content",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}], "speaker": "Ann"}]},
        ("contents",),
    ),
    Case(
        "an instruction in mid-conversation",
        {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "system", "parts": [{"text": "Be brief."}]},
            ]
        },
        ("contents[1]",),
    ),
)
"""Each uses one thing."""

_TYPES: Final = ("STRING", "BOOLEAN")
GEMINI_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "contents[].role": ("model",),
    "serviceTier": ("priority", GONE),
    "generationConfig.candidateCount": (3, GONE),
    "generationConfig.responseModalities[]": ("AUDIO",),
    "generationConfig.thinkingConfig.thinkingLevel": ("LOW", "HIGH"),
    "generationConfig.thinkingConfig.thinkingBudget": (24_576, GONE),
    "generationConfig.thinkingConfig.includeThoughts": (False, GONE),
    "generationConfig.responseMimeType": ("text/plain", GONE),
    "generationConfig.responseSchema.type": _TYPES,
    "generationConfig.responseSchema.properties.city.type": _TYPES,
    "generationConfig.responseFormat[].text.mimeType": ("TEXT_PLAIN",),
    "tools[].functionDeclarations[].parameters.type": _TYPES,
    "tools[].functionDeclarations[].parameters.properties.n.type": _TYPES,
    "tools[].functionDeclarations[].parameters.properties.l.type": _TYPES,
    "toolConfig.functionCallingConfig.mode": ("AUTO", "ANY", "NONE"),
    "contents[].parts[].inlineData.mimeType": ("image/webp", "application/rtf", "audio/mp3", "video/webm"),
    "contents[].parts[].inlineData.data": ("QUJDRA==",),
    "contents[].parts[].fileData.fileUri": ("https://example.com/other.png",),
    "contents[].parts[].functionResponse.parts[].inlineData.mimeType": ("image/webp",),
    "contents[].parts[].functionResponse.parts[].inlineData.data": ("QUJDRA==",),
    "contents[].parts[].thoughtSignature": ("QUJDQUJD", GONE),
    "contents[].parts[].functionResponse.name": ("climate",),
    "contents[].parts[].functionCall.id": ("c1",),
    "tools[].functionDeclarations[].parametersJsonSchema.type": ("string",),
}
"""Other legal values, where not any other value is one."""

GEMINI_SAYS_NOTHING: Final[dict[str, str]] = {
    "contents[].parts[].text=": "there is nothing to say",
    "contents[].parts[].thought": "the thought itself is listed or said",
    "toolConfig.functionCallingConfig.mode=AUTO": "what happens unasked",
    "generationConfig.responseMimeType=application/json": "beside a schema it goes without saying",
    "generationConfig.thinkingConfig.includeThoughts": "the answer shows thoughts or not; no upstream need know",
    "contents[].parts[].functionResponse.id": "pairs a result with its call",
    "contents[].parts[].fileData.mimeType": "other dialects tell it by the address",
    "tools[].functionDeclarations[].parametersJsonSchema.type": "arguments are always an object",
    "tools[].functionDeclarations[].parameters.type": "arguments are always an object",
    "contents[].role=system": "an instruction, whichever way it is marked",
}
"""Leaves that make no difference, and why."""

GEMINI_DOCUMENTED: Final = frozenset({
    "contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig", "cachedContent",
    "labels", "serviceTier", "store",
})  # fmt: skip
"""Top-level fields of the request."""
