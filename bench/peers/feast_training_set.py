"""Joins the features of bench/training_set.ts to its spine with Feast's file store, and says how long it took."""
import glob
import json
import os
import resource
import sys
import time
from datetime import timedelta

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

folder, features = sys.argv[1], int(sys.argv[2])
# What Feast writes beside its files goes with the folder.
os.chdir(folder)
files = sorted(glob.glob(f"{folder}/view_*.parquet"))
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
views = [
    FeatureView(
        name=os.path.basename(file).removesuffix(".parquet"),
        entities=[customer],
        ttl=timedelta(days=36500),
        schema=[Field(name=f"f{index}", dtype=Float64) for index in range(features)],
        source=FileSource(path=file, timestamp_field="at"),
    )
    for file in files
]
# The file store that Feast takes where nothing else is said.
store = FeatureStore(
    config=RepoConfig(
        project="bench",
        registry=f"{folder}/registry.db",
        provider="local",
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
    )
)
store.apply([customer, *views])
spine = pandas.read_parquet(f"{folder}/spine.parquet").rename(columns={"t": "event_timestamp"})
names = [f"{view.name}:f{index}" for view in views for index in range(features)]

started = time.perf_counter()
frame = store.get_historical_features(entity_df=spine, features=names, full_feature_names=True).to_df()
seconds = time.perf_counter() - started

values = frame.drop(columns=["customer_id", "event_timestamp"])
print(json.dumps({
    "seconds": seconds,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "rows": len(frame),
    "sum": float(values.sum().sum()),
}))
