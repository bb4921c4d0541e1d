#!/usr/bin/env python3
"""Writes corpus.jsonl: schemas over all supported keywords, each with the texts of documents that satisfy it and of some
that do not.

Leaf schemas are put into every place where a schema may stand; objects, arrays and combinations are written by hand.
Needs `jsonschema`, which must agree about every document. Run it by hand after a change: make_corpus.py > corpus.jsonl
"""
import json
import sys

from jsonschema import Draft202012Validator

# (schema, valid, invalid)
LEAVES = [
    ({"type": "null"}, [None], [0, "null", False]),
    ({"type": "boolean"}, [True, False], [0, "true", None]),
    ({"type": "integer"}, [0, -1, 7, 123456789012345678901234567890], [1.5, "1", None, True]),
    ({"type": "number"}, [0, -0.5, 3.25, 1e10, 2.5e-8], ["1", None, []]),
    ({"type": "string"}, ["", "a", "\"\\/\b\f\n\r\t", "é日本😀", "\u0001\u001f\u007f"], [1, None, ["a"]]),
    ({"type": "integer", "minimum": 3}, [3, 4, 10, 1000000], [2, 0, -3, -100]),
    ({"type": "integer", "maximum": 3}, [3, 0, -1, -500], [4, 30, 100]),
    ({"type": "integer", "minimum": -17, "maximum": 205}, [-17, -1, 0, 5, 99, 205], [-18, 206, 1000, -100]),
    ({"type": "integer", "exclusiveMinimum": 0}, [1, 10, 99], [0, -1]),
    ({"type": "integer", "exclusiveMaximum": 0}, [-1, -10], [0, 1]),
    ({"type": "integer", "minimum": 10, "maximum": 10}, [10], [9, 11, 100]),
    ({"type": "integer", "minimum": 9223372036854775808}, [9223372036854775808, 18446744073709551616],
     [9223372036854775807, 0, -9223372036854775809]),
    ({"type": "integer", "minimum": 12345678901234567890, "maximum": 12345678901234567990},
     [12345678901234567890, 12345678901234567899, 12345678901234567990], [12345678901234567889, 12345678901234567991]),
    ({"type": "integer", "multipleOf": 5}, [0, 5, -10, 1005], [1, 7, -3]),
    ({"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 30}, [14, 21, 28], [7, 15, 35]),
    ({"type": "integer", "multipleOf": 12}, [0, 12, 144, -24], [6, 13]),
    ({"type": "number", "minimum": 0}, [0, 0.5, 12.75, 1000], [-0.5, -1]),
    ({"type": "number", "minimum": -1.5, "maximum": 2.25}, [-1.5, -1.25, 0, 0.125, 2, 2.25], [-1.75, -2, 2.5, 3]),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0.5, 0.001, 0.999], [0, 1, -0.5, 1.5]),
    ({"type": "number", "multipleOf": 0.25}, [0, 0.25, 0.5, 1, 2.75, -1.5], [0.3, 1.1]),
    ({"type": "number", "multipleOf": 3}, [0, 3, -9], [1, 0.5]),
    ({"type": "string", "minLength": 2}, ["ab", "日本", "\n\t", "a\"b"], ["", "a", "é", "😀"]),
    ({"type": "string", "maxLength": 3}, ["", "abc", "日本語", "😀😀😀", "\n\n\n"], ["abcd", "日本語で"]),
    ({"type": "string", "minLength": 1, "maxLength": 2}, ["a", "\\\\", "é😀"], ["", "abc"]),
    ({"type": "string", "pattern": "^[a-z]+$"}, ["a", "hello"], ["", "A", "a1"]),
    ({"type": "string", "pattern": "b+c"}, ["bc", "xxbbcyy", "\"bc\"", "é\nbc"], ["", "b", "cb"]),
    ({"type": "string", "pattern": "^ab"}, ["ab", "abc\n"], ["", "xab"]),
    ({"type": "string", "pattern": "yz$"}, ["yz", "xyz", "\"\"yz"], ["", "yzx"]),
    ({"type": "string", "pattern": "^(a|b)*c?$|^z"}, ["", "abab", "abc", "zebra"], ["cc", "x"]),
    ({"type": "string", "pattern": "^\\d{3}-\\d{4}$"}, ["555-1234"], ["5551234", "55-1234"]),
    ({"type": "string", "pattern": "^[\"\\\\/]{1,3}$"}, ["\"", "\\", "/\"\\"], ["", "a"]),
    ({"type": "string", "pattern": "^[^a-z]+$"}, ["ABC", "12\n", "日"], ["", "a", "Ab"]),
    ({"type": "string", "pattern": "^[a-z]*$", "minLength": 2, "maxLength": 4}, ["ab", "abcd"], ["a", "abcde", "AB"]),
    ({"type": "string", "pattern": "a.*b", "maxLength": 5}, ["ab", "xaxb", "aaabb"], ["ba", "aaaabb", "a"]),
    ({"type": "string", "pattern": "^(foo|bar)+$", "minLength": 4}, ["foobar", "barbarfoo"], ["foo", "foob"]),
    ({"type": "string", "format": "date"}, ["2024-02-29", "1999-12-31"], ["2023-02-29", "2024-13-01", "20240101"]),
    ({"type": "string", "format": "time"}, ["12:00:00Z", "23:59:59.123+05:30"], ["25:00:00Z", "12:00"]),
    ({"type": "string", "format": "date-time"}, ["2024-02-29T12:00:00Z", "2000-01-01T00:00:00.5-08:00"],
     ["2024-02-30T12:00:00Z", "2024-01-01"]),
    ({"type": "string", "format": "duration"}, ["P1D", "PT5M", "P1Y2M3DT4H5M6S", "P2W"], ["1D", "P", "PT"]),
    ({"type": "string", "format": "email"}, ["a@b.c", "first.last+tag@example.com"], ["a", "example.com"]),
    ({"type": "string", "format": "hostname"}, ["example.com", "a-b.c1"], ["-a.com", "a..b", "a_b"]),
    ({"type": "string", "format": "ipv4"}, ["0.0.0.0", "192.168.1.255"], ["256.1.1.1", "1.2.3"]),
    ({"type": "string", "format": "ipv6"}, ["::", "::1", "2001:db8::ff00:42:8329", "1:2:3:4:5:6:7:8"],
     [":::", "1:2:3", "g::"]),
    ({"type": "string", "format": "uri"}, ["http://example.com/a?b=c#d", "urn:isbn:12", "mailto:a@b"],
     ["example.com", "//x", "a b:"]),
    ({"type": "string", "format": "uri-reference"}, ["/a/b", "a", "http://x/", "#f", "?q"], ["\\a", "a b"]),
    ({"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567", "x"]),
    ({"type": "string", "format": "json-pointer"}, ["", "/a/b~0~1", "//"], ["a", "/~2"]),
    ({"type": "string", "format": "ipv4", "maxLength": 8}, ["1.2.3.4", "10.0.0.1"], ["192.168.1.1"]),
    ({"enum": ["red", "green", "blue"]}, ["red", "blue"], ["r", "redd", 1]),
    ({"enum": [1, "1", None, True, [1, 2], {"a": 1}]}, [1, "1", None, True, [1, 2], {"a": 1}], [2, False, [1], {}]),
    ({"const": "x"}, ["x"], ["y", ""]),
    ({"const": {"a": [1, {"b": None}]}}, [{"a": [1, {"b": None}]}], [{"a": [1]}, {}]),
    ({"enum": ["a", "bb", "ccc"], "minLength": 2}, ["bb", "ccc"], ["a"]),
    ({"enum": [1, 5, 10, "x"], "type": "integer", "minimum": 5}, [5, 10], [1, "x"]),
    ({"enum": ["\"q\"", "\\", "line\nbreak", "é"]}, ["\"q\"", "\\", "line\nbreak", "é"], ["q", ""]),
    ({"type": ["string", "null"]}, ["a", None], [1, True]),
    ({"type": ["integer", "boolean"], "minimum": 5}, [5, True, False], [4, "5"]),
    ({"type": ["number", "string"], "maxLength": 1}, ["a", 1.5], ["ab", None]),
    ({"anyOf": [{"type": "integer", "minimum": 10}, {"type": "string", "maxLength": 1}]}, [10, "a", ""], [9, "ab"]),
    ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, [1, "a"], [None, 1.5]),
    ({"oneOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 7}]}, [3, 7, -1], [4, 5, 6]),
    ({"allOf": [{"type": "integer"}, {"minimum": 2}, {"maximum": 4}]}, [2, 3, 4], [1, 5, "3"]),
    ({"allOf": [{"pattern": "^a"}, {"pattern": "z$"}], "type": "string"}, ["az", "abcz"], ["a", "za"]),
    ({"type": "integer", "title": "t", "description": "d", "default": 1, "examples": [1], "$comment": "c",
      "deprecated": True, "readOnly": True, "x-order": 3}, [1], ["1"]),
    (True, [1, "a", None, [1], {"a": {"b": []}}], []),
]

# Where a leaf may stand: schema of the leaf -> (schema, document of the leaf's document).
PLACES = [
    lambda s: (s, lambda v: v),
    lambda s: ({"type": "array", "items": s}, lambda v: [v, v]),
    lambda s: ({"type": "object", "properties": {"a": s, "b": {"type": "null"}}, "required": ["a"],
                "additionalProperties": False}, lambda v: {"a": v, "b": None}),
    lambda s: ({"type": "object", "properties": {"first": {"type": "null"}, "a": s}, "additionalProperties": False},
               lambda v: {"a": v}),
    lambda s: ({"$defs": {"x/y~z": s}, "type": "object", "properties": {"p": {"$ref": "#/$defs/x~1y~0z"}},
                "required": ["p"]}, lambda v: {"p": v}),
    lambda s: ({"type": "object", "additionalProperties": s}, lambda v: {"k": v, "other key": v}),
    lambda s: ({"type": "array", "prefixItems": [{"type": "boolean"}, s], "items": False, "minItems": 2},
               lambda v: [True, v]),
    lambda s: ({"type": "object", "patternProperties": {"^p_": s}, "additionalProperties": False},
               lambda v: {"p_1": v, "p_": v}),
    lambda s: ({"allOf": [{"type": "object", "properties": {"a": s}, "required": ["a"]},
                          {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]}, lambda v: {"a": v, "b": 1}),
]


def node(value, **more):
    return {"value": value, **more}


TREE = {"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"},
                                                             "children": {"type": "array",
                                                                          "items": {"$ref": "#/$defs/node"}}},
                           "required": ["value"], "additionalProperties": False}}, "$ref": "#/$defs/node"}
LIST = {"type": "object", "properties": {"head": {"type": "string"}, "tail": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["head", "tail"]}
SHAPE = {"oneOf": [
    {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "minimum": 0}},
     "required": ["kind", "radius"], "additionalProperties": False},
    {"type": "object", "properties": {"kind": {"const": "square"}, "side": {"type": "number", "minimum": 0}},
     "required": ["kind", "side"], "additionalProperties": False}]}
OPTIONAL = {"type": "object", "properties": {k: {"type": "integer"} for k in "abcd"}, "additionalProperties": False}

BY_HAND = [
    ({"type": "object"}, [{}, {"a": 1}, {"a": {"b": {"c": []}}}], [[], 1]),
    ({"type": "array"}, [[], [1, "a", None], [[[]]]], [{}, 1]),
    (OPTIONAL, [{}, {"a": 1}, {"b": 1}, {"c": 1}, {"d": 1}, {"a": 1, "c": 3}, {"b": 1, "d": 2},
                {"a": 1, "b": 2, "c": 3, "d": 4}], [{"e": 1}, {"a": "1"}]),
    ({**OPTIONAL, "required": ["b"]}, [{"b": 1}, {"a": 1, "b": 2}, {"b": 2, "d": 3}], [{}, {"a": 1}]),
    ({**OPTIONAL, "minProperties": 2}, [{"a": 1, "b": 2}, {"c": 1, "d": 2}, {"a": 1, "b": 2, "c": 3, "d": 4}],
     [{}, {"a": 1}]),
    ({**OPTIONAL, "maxProperties": 2}, [{}, {"d": 1}, {"a": 1, "d": 2}], [{"a": 1, "b": 2, "c": 3}]),
    ({**OPTIONAL, "minProperties": 1, "maxProperties": 1}, [{"a": 1}, {"c": 1}], [{}, {"a": 1, "b": 2}]),
    ({**OPTIONAL, "minProperties": 2, "maxProperties": 3, "required": ["c"]}, [{"b": 1, "c": 2}, {"a": 1, "c": 2, "d": 3}],
     [{"c": 1}, {"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 1, "b": 2}]),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
     [{}, {"a": 1}, {"a": 1, "aa": "x"}, {"": "x", "b": "y"}, {"a\"": "q"}], [{"a": "x"}, {"b": 1}]),
    ({"type": "object", "properties": {"ab": {"type": "integer"}, "abc": {"type": "integer"}},
      "additionalProperties": {"type": "null"}}, [{"ab": 1, "abc": 2, "a": None, "abcd": None}, {"abd": None}],
     [{"ab": None}, {"a": 1}]),
    ({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
     [{}, {"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2, "c": 3}]),
    ({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1}, [{"a": 1}, {"a": 1, "b": 2}],
     [{}]),
    ({"type": "object", "properties": {"é\n\"": {"type": "integer"}}, "required": ["é\n\""]}, [{"é\n\"": 1}], [{}]),
    ({"type": "object", "required": ["x", "y"], "additionalProperties": {"type": "integer"}}, [{"x": 1, "y": 2}],
     [{"x": 1}, {"x": 1, "y": "2"}]),
    ({"type": "object", "patternProperties": {"^s_": {"type": "string"}, "^i_": {"type": "integer"}}},
     [{}, {"s_a": "x"}, {"i_a": 1, "s_b": "y"}, {"z": [1]}], [{"s_a": 1}, {"i_a": "x"}]),
    ({"type": "object", "patternProperties": {"a": {"minimum": 3, "type": "integer"}, "b": {"maximum": 5, "type": "integer"}},
      "additionalProperties": False}, [{"a": 3}, {"b": 5}, {"ab": 4}, {"xaxbx": 3}], [{"a": 2}, {"ab": 6}, {"c": 1}]),
    ({"type": "object", "properties": {"p1": {"maximum": 9}}, "patternProperties": {"^p": {"type": "integer"}},
      "additionalProperties": False}, [{"p1": 9, "p2": 99}], [{"p1": 10}, {"p1": "x"}, {"q": 1}]),
    ({"type": "object", "propertyNames": {"pattern": "^[a-z]{1,3}$"}}, [{}, {"a": 1, "abc": 2}], [{"A": 1}, {"abcd": 1}]),
    ({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "integer"}},
     [{"a": 1}, {"b": 2, "a": 1}], [{"c": 1}]),
    ({"type": "object", "propertyNames": {"maxLength": 2, "minLength": 1}}, [{"ab": 1}, {"é": 2}], [{"abc": 1}, {"": 1}]),
    ({"type": "object", "properties": {"a": False, "b": {"type": "integer"}}}, [{}, {"b": 1}], [{"a": 1}]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [[1, 2], [1, 2, 3]], [[], [1]]),
    ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [[], [1], [1, 2]], [[1, 2, 3]]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}, [[1], [1, 2, 3]], [[], [1, 2, 3, 4]]),
    ({"type": "array", "maxItems": 0}, [[]], [[1]]),
    ({"type": "array", "items": False}, [[]], [[1]]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "boolean"}},
     [[], [1], [1, "a"], [1, "a", True, False]], [["a"], [1, 2], [1, "a", 3]]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}, {"type": "null"}], "minItems": 2,
      "items": False}, [[1, "a"], [1, "a", None]], [[1], [1, "a", None, 1]]),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}, "minItems": 3, "maxItems": 4},
     [[1, "a", "b"], [1, "a", "b", "c"]], [[1, "a"], [1, "a", "b", "c", "d"]]),
    ({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True}, [[], ["a"], ["b", "a", "c"]],
     [["a", "a"], ["a", "b", "a"]]),
    ({"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 2, "maxItems": 2},
     [[1, 2], [3, 1]], [[1], [1, 1], [1, 2, 3]]),
    ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}}, [[], [[]], [[1, 2], [3]]],
     [[[1, 2, 3]], [1]]),
    (TREE, [node(1), node(1, children=[]), node(1, children=[node(2), node(3, children=[node(4)])])],
     [{}, node(1, children=[{}]), node("1")]),
    (LIST, [{"head": "a", "tail": None}, {"head": "a", "tail": {"head": "b", "tail": None}}],
     [{"head": "a"}, {"head": "a", "tail": {"head": "b"}}]),
    (SHAPE, [{"kind": "circle", "radius": 1.5}, {"kind": "square", "side": 0}],
     [{"kind": "circle", "side": 1}, {"kind": "triangle"}, {"kind": "circle", "radius": -1}]),
    ({"type": "array", "items": SHAPE}, [[], [{"kind": "circle", "radius": 1}, {"kind": "square", "side": 2}]],
     [[{"kind": "circle"}]]),
    ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object",
      "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 2}], [{}]),
    ({"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"extra": {"type": "string"}}, "required": ["extra"]}],
      "$defs": {"base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}}},
     [{"id": 1, "extra": "x"}], [{"id": 1}, {"extra": "x"}]),
    ({"$ref": "#/$defs/pos", "maximum": 9, "$defs": {"pos": {"type": "integer", "minimum": 1}}}, [1, 9], [0, 10]),
    ({"definitions": {"a b": {"type": "string"}}, "type": "object", "properties": {"x": {"$ref": "#/definitions/a%20b"}}},
     [{}, {"x": "y"}], [{"x": 1}]),
    ({"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"type": "array", "items": {"$ref": "#"}}]}, [{"a": 1}, [], [{"a": 1}, [{"a": 2}]]], [[1], {}]),
    ({"$defs": {"e": {"anyOf": [{"type": "number"}, {"type": "object", "properties": {
        "op": {"enum": ["+", "-"]}, "l": {"$ref": "#/$defs/e"}, "r": {"$ref": "#/$defs/e"}},
        "required": ["op", "l", "r"], "additionalProperties": False}]}}, "$ref": "#/$defs/e"},
     [1, {"op": "+", "l": 1, "r": {"op": "-", "l": 2, "r": 3}}], ["+", {"op": "+", "l": 1}]),
    ({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {
        "c": {"type": "array", "items": {"type": "string", "maxLength": 1}}}, "required": ["c"]}}, "required": ["b"]}},
      "required": ["a"]}, [{"a": {"b": {"c": []}}}, {"a": {"b": {"c": ["x", ""]}}}], [{"a": {"b": {}}}, {"a": {"b": {"c": ["xy"]}}}]),
    ({"title": "Person", "type": "object", "properties": {
        "name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "email": {"type": "string", "format": "email"}, "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "address": {"type": "object", "properties": {"street": {"type": "string"}, "zip": {"type": "string", "pattern": "^\\d{5}$"}},
                    "required": ["street", "zip"], "additionalProperties": False}},
      "required": ["name", "age"], "additionalProperties": False},
     [{"name": "A", "age": 0}, {"name": "A", "age": 150, "email": "a@b.c", "tags": ["x"], "address": {"street": "s", "zip": "12345"}}],
     [{"name": "", "age": 1}, {"name": "A", "age": 151}, {"name": "A"}, {"name": "A", "age": 1, "address": {"street": "s", "zip": "1234"}}]),
]


def rows():
    for schema, valid, invalid in LEAVES:
        for place in PLACES:
            outer, document = place(schema)
            if schema is True and isinstance(outer, bool):
                yield outer, valid, invalid
            else:
                yield outer, [document(v) for v in valid], [document(v) for v in invalid]
    yield from BY_HAND


STYLES = [{"separators": (",", ":")}, {}, {"indent": 2}, {"indent": 4}, {"indent": "\t"}]


def main():
    schemas = valid_documents = 0
    for schema, valid, invalid in rows():
        v = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        Draft202012Validator.check_schema(schema)
        for d in valid:
            assert v.is_valid(d), (schema, d)
        kept = [d for d in invalid if not v.is_valid(d)]  # formats that this installation cannot check
        schemas += 1

        def texts(documents):
            nonlocal valid_documents
            out = []
            for d in documents:
                valid_documents += documents is valid
                out.append(json.dumps(d, ensure_ascii=False, **STYLES[valid_documents % len(STYLES)]))
            return out
        print(json.dumps({"schema": schema, "valid": texts(valid), "invalid": texts(kept)}, ensure_ascii=False,
                         separators=(",", ":")))
    print(f"{schemas} schemas, {valid_documents} valid documents", file=sys.stderr)


main()
