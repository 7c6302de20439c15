"""The engine of `add` on Ray: workers in many processes read and embed, this process commits.

Ray itself is imported when an engine starts.
"""

from trawl.ingest.on_ray.cluster import RayCluster
from trawl.ingest.on_ray.engine import RayEngine
from trawl.ingest.on_ray.worker import Setup

__all__ = ["RayCluster", "RayEngine", "Setup"]
