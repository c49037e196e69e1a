"""Prepares Feast for the benchmark `online`: a repository in FOLDER with PostgreSQL as its online store, filled with
the rows of the benchmark. Arguments: FOLDER, the store's connection as JSON, VIEWS, FEATURES, ENTITIES."""

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64


def main(folder: str, connection: str, views: int, features: int, entities: int) -> None:
    repository = Path(folder)
    config = {
        "project": "bench",
        "provider": "local",
        "registry": str(repository / "registry.db"),
        "online_store": {"type": "postgres", **json.loads(connection)},
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
        "auth": {"type": "no_auth"},
    }
    (repository / "feature_store.yaml").write_text(yaml.safe_dump(config))
    now = datetime.now(timezone.utc)
    names = [f"f{number}" for number in range(features)]

    def rows(view: int) -> pd.DataFrame:
        # The same values as on our side.
        columns = {
            name: [float(entity * 1000 + view * 10 + number) for entity in range(entities)]
            for number, name in enumerate(names)
        }
        return pd.DataFrame({"account_id": range(entities), "event_timestamp": [now] * entities, **columns})

    account = Entity(name="account", join_keys=["account_id"], value_type=ValueType.INT64)
    definitions = [account]
    for view in range(views):
        file = repository / f"view_{view}.parquet"
        rows(view).to_parquet(file)
        definitions.append(
            FeatureView(
                name=f"view_{view}",
                entities=[account],
                ttl=timedelta(days=365),
                schema=[Field(name=name, dtype=Float64) for name in names],
                source=FileSource(path=str(file), timestamp_field="event_timestamp"),
            )
        )
    store = FeatureStore(repo_path=folder)
    store.apply(definitions)
    for view in range(views):
        store.write_to_online_store(f"view_{view}", rows(view))


if __name__ == "__main__":
    folder, connection, *sizes = sys.argv[1:]
    main(folder, connection, *(int(size) for size in sizes))
    print(json.dumps({"ready": 1}))
