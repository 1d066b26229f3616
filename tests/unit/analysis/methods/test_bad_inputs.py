"""Files that are broken, odd or not tables: each gets a clear answer, none a crash."""

import gzip
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from analysis.methods import InputError, Limits
from tests.unit.analysis.methods.conftest import Analyse

HEADER = "name,age\n"
ROWS = "".join(f"person {i},{20 + i % 50}\n" for i in range(100))


def kinds(report: object) -> list[str]:
    return [finding["kind"] for finding in report.findings]  # type: ignore[attr-defined]


def finding(report: object, kind: str) -> dict:
    return next(found for found in report.findings if found["kind"] == kind)  # type: ignore[attr-defined]


@pytest.fixture
def parquet(tmp_path: Path) -> bytes:
    con = duckdb.connect()
    target = tmp_path / "made.parquet"
    con.execute(
        f"COPY (SELECT range AS n, 'label ' || range % 3 AS label, range * 1.5 AS half, DATE '2024-01-01' AS day,"  # noqa: S608 - our own path
        f" range % 2 = 0 AS even, CASE WHEN range = 7 THEN 'nan'::DOUBLE ELSE range END AS odd,"
        f" {{'a': range}} AS nested FROM range(50)) TO '{target}' (FORMAT parquet)"
    )
    return target.read_bytes()


@pytest.mark.parametrize("content", [b"", b"   \n\t\n ", b"\n\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_a_file_without_content_is_refused(analyse: Analyse, content: bytes) -> None:
    with pytest.raises(InputError) as refused:
        analyse(content)
    assert refused.value.code == "empty"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "PDF"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "PNG"),
        (b"PK\x03\x04\x14\x00\x06\x00xl/workbook.xml", "Excel workbook"),
        (b"PK\x03\x04\x14\x00\x00\x00notes.txt", "zip"),
        (gzip.compress(b"a,b\n1,2\n" * 50), "gzip"),
        (b"SQLite format 3\x00" + bytes(100), "SQLite"),
        (bytes(range(256)) * 20, "not text"),
        (b"<!DOCTYPE html><html><body>1,2</body></html>", "web page"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_kind_is_named_and_refused(analyse: Analyse, content: bytes, looks_like: str) -> None:
    with pytest.raises(InputError, match=looks_like) as refused:
        analyse(content, "table.csv")
    assert refused.value.code == "unsupported"
    assert "table.csv" in refused.value.where


def test_latin_1_letters_are_decoded_and_noted(analyse: Analyse) -> None:
    text = "stadt,zahl\n" + "".join(f"München Größe {i},{i}\n" for i in range(40))
    report = analyse(text.encode("latin-1"))
    assert report.data["file"]["encoding"] == "cp1252"
    assert finding(report, "encoding")["caveat"]
    assert any("München" in top["value"] for top in report.data["columns"][0]["top"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_other_unicode_flavours_are_decoded(analyse: Analyse, encoding: str) -> None:
    report = analyse((HEADER + ROWS).encode(encoding))
    assert [column["name"] for column in report.data["columns"]] == ["name", "age"]
    assert report.data["file"]["rows"] == 100


def test_text_cut_inside_a_utf_16_character_is_refused(analyse: Analyse) -> None:
    with pytest.raises(InputError) as refused:
        analyse((HEADER + ROWS).encode("utf-16")[:-1])
    assert refused.value.code == "undecodable"


def test_ragged_rows_are_left_out_with_their_lines(analyse: Analyse) -> None:
    report = analyse(HEADER + "ann,1,extra\nbob\n" + ROWS)
    found = finding(report, "rejected_rows")
    assert found["evidence"] | {"share": 0} == {"rejected": 2, "seen": 102, "share": 0, "line_1": 2, "line_2": 3}
    assert report.data["file"]["rows"] == 100


def test_mostly_ragged_rows_are_refused_with_their_lines(analyse: Analyse) -> None:
    ragged = "".join(f"{','.join('x' * (i % 7 + 3))}\n" for i in range(300))
    with pytest.raises(InputError, match="rows do not fit") as refused:
        analyse("a,b\n" + "1,2\n" * 210 + ragged)
    assert refused.value.code == "bad_rows"
    assert "212" in refused.value.where


def test_a_header_without_rows_gives_one_honest_finding(analyse: Analyse) -> None:
    report = analyse("name,age\n")
    assert kinds(report) == ["no_rows"]
    assert [column["name"] for column in report.data["columns"]] == ["name", "age"]


def test_one_row_gives_one_honest_finding(analyse: Analyse) -> None:
    assert kinds(analyse("name,age\nann,31\n")) == ["few_rows"]


@pytest.mark.parametrize("content", ["age\n" + "31\n32\n33\n" * 5, "text\n" + "a word, or two\nno comma\n" * 9])
def test_one_column_is_enough(analyse: Analyse, content: str) -> None:
    report = analyse(content)
    assert report.data["file"]["columns"] == 1
    assert report.data["file"]["rejected_rows"] == 0


def test_all_null_gives_one_honest_finding(analyse: Analyse) -> None:
    assert kinds(analyse("a,b\n" + ",\n" * 20)) == ["all_missing"]


def test_all_constant_says_so_for_each_column(analyse: Analyse) -> None:
    report = analyse("a,b\n" + "1,x\n" * 30)
    assert kinds(report).count("constant") == 2
    assert set(kinds(report)) == {"constant", "duplicate_rows"}


def test_a_file_above_the_limit_is_refused_with_the_limit_named(analyse: Analyse) -> None:
    with pytest.raises(InputError, match="at most 100") as refused:
        analyse(HEADER + ROWS, limits=Limits(max_bytes=100))
    assert refused.value.code == "too_large"


def test_too_many_columns_are_refused(analyse: Analyse) -> None:
    with pytest.raises(InputError, match="at most 10 ") as refused:
        analyse(",".join(f"c{i}" for i in range(30)) + "\n", limits=Limits(max_columns=10))
    assert refused.value.code == "too_large"


def test_a_cell_above_the_limit_is_refused(analyse: Analyse) -> None:
    with pytest.raises(InputError, match="cell") as refused:
        analyse(HEADER + ROWS + "x" * 500 + ",1\n", limits=Limits(max_cell_bytes=400))
    assert refused.value.code == "too_large"


def test_rows_above_the_limit_are_cut_and_noted(analyse: Analyse) -> None:
    report = analyse(HEADER + ROWS, limits=Limits(max_rows=40))
    assert report.data["file"]["rows"] == 40
    assert "row_limit" in kinds(report)


def test_parquet_named_csv_is_read_by_its_content(analyse: Analyse, parquet: bytes) -> None:
    report = analyse(parquet, "table.csv")
    assert report.data["file"]["format"] == "parquet"
    assert "wrong_ending" in kinds(report)
    types = {column["name"]: column["type"] for column in report.data["columns"]}
    assert types == {"n": "integer", "label": "text", "half": "number", "day": "date", "even": "boolean",
                     "odd": "number", "nested": "text"}  # fmt: skip


def test_not_a_number_in_parquet_is_a_gap(analyse: Analyse, parquet: bytes) -> None:
    odd = next(c for c in analyse(parquet, "t.parquet").data["columns"] if c["name"] == "odd")
    assert odd["missing"] == 1
    assert odd["mean"] == pytest.approx((sum(range(50)) - 7) / 49)


def test_parquet_that_is_cut_off_is_refused(analyse: Analyse, parquet: bytes) -> None:
    with pytest.raises(InputError, match="cut off") as refused:
        analyse(parquet[: len(parquet) // 2], "t.parquet")
    assert refused.value.code == "damaged"


def test_parquet_with_a_broken_footer_is_refused(analyse: Analyse, parquet: bytes) -> None:
    with pytest.raises(InputError, match="corrupted"):
        analyse(parquet[:-300] + b"\xff" * 292 + parquet[-8:], "t.parquet")


def test_parquet_with_broken_pages_is_refused(analyse: Analyse, parquet: bytes) -> None:
    with pytest.raises(InputError) as refused:
        analyse(parquet[:4] + b"\xff" * 400 + parquet[404:], "t.parquet")
    assert refused.value.code == "damaged"


def test_parquet_that_unpacks_too_far_is_refused(analyse: Analyse, parquet: bytes) -> None:
    with pytest.raises(InputError, match="unpacks"):
        analyse(parquet, "t.parquet", limits=Limits(max_unpacked_bytes=100))


def test_nul_bytes_are_taken_out_and_noted(analyse: Analyse) -> None:
    report = analyse((HEADER + ROWS).encode().replace(b"person 3,", b"per\x00son 3,"))
    assert finding(report, "nul_bytes")["evidence"]["count"] == 1
    assert report.data["file"]["rows"] == 100


def test_repeated_and_empty_names_are_replaced(analyse: Analyse) -> None:
    report = analyse("a,A,,a,rowid\n" + "1,2,3,4,5\n" * 20)
    assert [column["name"] for column in report.data["columns"]] == ["a", "A_2", "column_3", "a_3", "rowid_2"]
    assert finding(report, "column_names")["evidence"]["changed"] == 4


def test_an_unclosed_quote_costs_no_rows(analyse: Analyse) -> None:
    report = analyse(HEADER + ROWS + 'open,"12\n' + ROWS)
    assert finding(report, "unclosed_quote")["evidence"]["line"] == 102
    assert report.data["file"]["rows"] == 201


def test_bad_json_lines_are_left_out_with_their_numbers(analyse: Analyse) -> None:
    lines = [f'{{"id": {i}, "who": {{"name": "n{i}"}}, "tags": ["a", "b"]}}' for i in range(20)]
    lines[4] = '{"id": 4, "who": '
    lines[9] = "[1, 2]"
    report = analyse("\n".join(lines), "t.jsonl")
    assert finding(report, "rejected_rows")["evidence"]["line_2"] == 10
    names = [column["name"] for column in report.data["columns"]]
    assert names == ["id", "who.name", "tags.length", "tags.first"]
    assert report.data["file"]["rows"] == 18


def test_mostly_bad_json_lines_are_refused(analyse: Analyse) -> None:
    with pytest.raises(InputError) as refused:
        analyse('{"a": 1}\n' + '{"a": \n' * 20, "t.jsonl")
    assert refused.value.code == "bad_rows"


def test_a_small_json_array_is_read(analyse: Analyse) -> None:
    assert analyse('[{"a": 1, "b": "x"}, {"a": 2}]', "t.json").data["file"]["rows"] == 2


@pytest.mark.parametrize(("delimiter", "sign"), [(";", ";"), ("\t", "\t"), ("|", "|"), (",", ",")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found_by_content(analyse: Analyse, delimiter: str, sign: str, end: str) -> None:
    text = (HEADER + ROWS).replace(",", delimiter).replace("\n", end)
    report = analyse(text, "table.csv")
    assert report.data["file"]["delimiter"] == sign
    assert [column["type"] for column in report.data["columns"]] == ["text", "integer"]
    assert report.data["file"]["rows"] == 100


def test_decimal_commas_do_not_look_like_delimiters(analyse: Analyse) -> None:
    report = analyse("item;price\n" + "".join(f"thing {i};{i},5\n" for i in range(40)))
    assert report.data["file"]["delimiter"] == ";"
    assert "numbers_as_text" in kinds(report)


def test_lines_before_the_table_are_skipped(analyse: Analyse) -> None:
    report = analyse("Report of the year\n\n" + HEADER + ROWS)
    assert [column["name"] for column in report.data["columns"]] == ["name", "age"]
    assert report.data["file"]["rows"] == 100


def test_a_missing_header_is_noticed(analyse: Analyse) -> None:
    report = analyse(ROWS)
    assert [column["name"] for column in report.data["columns"]] == ["column_1", "column_2"]
    assert report.data["file"]["rows"] == 100


def test_hostile_names_are_only_names(analyse: Analyse, tmp_path: Path) -> None:
    evil = '"a""); DROP TABLE data; --",\'; ATTACH \'x,{0.__class__}'
    report = analyse(evil + "\n" + "-1,2,x\n" * 5 + ",3,y\n" * 30, "../../etc/passwd'; --.csv")
    assert report.data["file"]["columns"] == 3
    assert report.data["notes"] == []


@pytest.mark.parametrize("name", ["v", "n", "g", "bin", "value", "row", "x", "data", "raw", "count(*)", "{rows}"])
def test_names_that_our_queries_use_are_only_names(analyse: Analyse, name: str) -> None:
    texts = "".join(f"{'abc'[i % 3]},{i % 3},{i * 7 % 23}.5\n" for i in range(120))
    for position in range(3):
        header = ["one", "two", "three"]
        header[position] = name
        assert analyse(",".join(header) + "\n" + texts).data["notes"] == []


def test_numbers_beyond_all_bounds_still_give_a_report(analyse: Analyse) -> None:
    cells = ["1e308", "-1e308", "1e-320", "inf", "9223372036854775807", "-9223372036854775808"]
    report = analyse("n,m\n" + "".join(f"{cells[i % 6]},{-(2**63) + i}\n" for i in range(60)))
    assert report.data["notes"] == []
    assert report.stable_json()


def test_text_that_looks_like_a_formula_stays_text(analyse: Analyse) -> None:
    report = analyse("cell,n\n" + "".join(f"=1+{i},{i}\n@SUM(A{i}),1\n" for i in range(30)))
    column = report.data["columns"][0]
    assert column["type"] == "text"
    assert any(top["value"].startswith("=1+") for top in column["top"])


def test_codes_keep_their_leading_zeros(analyse: Analyse) -> None:
    report = analyse("zip,n\n" + "".join(f"{i:05d},{i}\n" for i in range(9000, 12000)))
    assert report.data["columns"][0]["type"] == "text"
    assert "numbers_as_text" not in kinds(report)


def test_a_word_for_not_a_number_is_a_gap(analyse: Analyse) -> None:
    report = analyse("n,m\n" + "".join(f"{i},x\n" for i in range(60)) + "nan,y\nNaN,z\n")
    column = report.data["columns"][0]
    assert (column["type"], column["missing"], column["mean"]) == ("integer", 2, 29.5)
    assert finding(report, "disguised_missing")["evidence"]["cells"] == 2


def test_a_strange_cell_late_in_the_file_loses_no_row(analyse: Analyse) -> None:
    report = analyse("n,m\n" + "".join(f"{i},{i % 3}\n" for i in range(30_000)) + "oops,1\n")
    assert report.data["file"]["rows"] == 30_001
    assert finding(report, "mixed_types")["evidence"]["cells"] == 1


def test_nothing_is_left_behind_when_a_file_is_refused(analyse: Analyse, leftovers: Callable[[], list[str]]) -> None:
    with pytest.raises(InputError):
        analyse(b"a,b\n" + b"1,2\n" + b"1,2,3,4\n" * 50, limits=Limits(max_columns=1))
    assert leftovers() == []
