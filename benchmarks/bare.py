"""An edge with nothing around it: one stream, no queue, no batches, no checks, no clock.

python -m benchmarks.bare BUNDLE SPLIT CODEC THREADS     prints its port
"""

import asyncio
import sys

from benchmarks.echo import Answer, serve
from benchmarks.raw import open_session
from offramp.bundle.store import open_bundle
from offramp.codecs.catalog import open_codec
from offramp.wire.v1 import inference_pb2 as pb


def answerer(path: str, split: int, codec: str, threads: int) -> Answer:
    """Decodes the payload of a request and runs the tail."""
    bundle = open_bundle(path)
    opened = open_codec(codec, bundle.manifest, split)
    tail = open_session(bundle.file(bundle.manifest.segment(split, bundle.manifest.end, branch=False).file), threads)

    def answer(frame: bytes) -> bytes:
        request = pb.ClientFrame.FromString(frame).request
        (logits_NK,) = tail.run(["logits"], {"feature_0": opened.decode(request.payload)[0]})
        return pb.ServerFrame(answer=pb.Answer(id=request.id, logits=logits_NK.tobytes())).SerializeToString()

    return answer


if __name__ == "__main__":
    place, at, name, pool = sys.argv[1:]
    asyncio.run(serve(answerer(place, int(at), name, int(pool))))
