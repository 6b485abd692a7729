"""The descriptions of exports are current, and every export is as they say."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import xmlschema

from fedcomm.portability import descriptions, parcels
from fedcomm.portability.archives import export_site
from fedcomm.portability.formats import FORMATS, SUFFIX, Format
from tests.hub.test_erasure import Schema, schema  # noqa: F401
from tests.hub.world import World
from tests.portability.test_archives import filled, world  # noqa: F401

DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_data_dictionary_is_current(filled: World) -> None:  # noqa: F811
    assert DICTIONARY.read_text("utf-8") == await descriptions.data_dictionary(filled.db), (
        "write it anew with: python -m fedcomm.portability.descriptions > docs/data-dictionary.md"
    )


async def exported(world: World, form: Format, folder: Path) -> dict[str, dict[str, bytes]]:  # noqa: F811
    """Files by name of an export of the site, a member and a group."""
    await export_site(world.site.config, world.db, folder / "site", form)
    with tarfile.open(folder / "site") as archive:
        found = {
            "site": {
                info.name: stream.read()
                for info in archive
                if (stream := archive.extractfile(info)) is not None
            }
        }
    for scope, table in (("person", "members"), ("group", "groups")):
        number = int(await world.db.value(f"SELECT actor_id FROM {table} LIMIT 1"))
        subject = parcels.Subject(scope, number, table)  # type: ignore[arg-type]
        pieces = parcels.parcel(
            world.db, world.site.media_folder, "https://hub.test", subject, form
        )
        data = b"".join([piece async for piece in pieces])
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            assert packed.testzip() is None
            found[scope] = {name: packed.read(name) for name in packed.namelist()}
    return found


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("form", FORMATS)
async def test_every_file_of_every_export_is_as_described(
    filled: World,  # noqa: F811
    form: Format,
    tmp_path: Path,
) -> None:
    text = await descriptions.described(filled.db, form)
    found = await exported(filled, form, tmp_path)
    described: Any = xmlschema.XMLSchema(text) if form == "xml" else json.loads(text)
    rows = 0
    for scope, files in found.items():
        tables = {
            name.removeprefix("tables/").removesuffix(SUFFIX[form]): data
            for name, data in files.items()
            if name.startswith("tables/")
        }
        assert len(tables) > 20
        assert set(json.loads(files["dictionary.json"])["tables"]) == set(tables), scope
        for name, data in tables.items():
            if form == "xml":
                described.validate(data.decode())
            elif form == "json":
                validator = jsonschema.Draft202012Validator(described["$defs"][f"{scope}.{name}"])
                for line in data.splitlines():
                    validator.validate(json.loads(line))
                    rows += 1
            else:
                told = next(
                    one for one in described["tables"] if one["url"] == f"{scope}/tables/{name}.csv"
                )
                columns = [column["name"] for column in told["tableSchema"]["columns"]]
                assert data.split(b"\r\n")[0].decode() == ",".join(columns)
        manifest = json.loads(files["manifest.json"])
        if form == "json":
            jsonschema.validate(manifest, described["$defs"]["manifest"])
    assert form != "json" or rows > 100


@pytest.mark.parametrize("form", FORMATS)
async def test_a_description_is_printed_without_a_hub(form: Format) -> None:
    assert "objects" in await descriptions.of_format(form)
