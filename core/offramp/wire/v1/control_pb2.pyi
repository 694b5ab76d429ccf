from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnterRequest(_message.Message):
    __slots__ = ("name", "edge")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    edge: bool
    def __init__(self, name: _Optional[str] = ..., edge: _Optional[bool] = ...) -> None: ...

class EnterReply(_message.Message):
    __slots__ = ("controllers",)
    CONTROLLERS_FIELD_NUMBER: _ClassVar[int]
    controllers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, controllers: _Optional[_Iterable[str]] = ...) -> None: ...

class DeviceFrame(_message.Message):
    __slots__ = ("hello", "report")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    hello: DeviceHello
    report: DeviceReport
    def __init__(self, hello: _Optional[_Union[DeviceHello, _Mapping]] = ..., report: _Optional[_Union[DeviceReport, _Mapping]] = ...) -> None: ...

class DeviceHello(_message.Message):
    __slots__ = ("name", "bundle", "digests", "profile", "objective", "edge", "report")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    name: str
    bundle: str
    digests: _containers.RepeatedScalarFieldContainer[str]
    profile: bytes
    objective: str
    edge: str
    report: DeviceReport
    def __init__(self, name: _Optional[str] = ..., bundle: _Optional[str] = ..., digests: _Optional[_Iterable[str]] = ..., profile: _Optional[bytes] = ..., objective: _Optional[str] = ..., edge: _Optional[str] = ..., report: _Optional[_Union[DeviceReport, _Mapping]] = ...) -> None: ...

class DeviceReport(_message.Message):
    __slots__ = ("link", "rate", "plan", "epoch", "counter", "edge", "queue", "answered", "latency", "wire_bytes", "paces", "drift", "trouble")
    LINK_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    WIRE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PACES_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    link: Link
    rate: float
    plan: str
    epoch: int
    counter: int
    edge: str
    queue: int
    answered: Answered
    latency: float
    wire_bytes: int
    paces: _containers.RepeatedCompositeFieldContainer[Pace]
    drift: Drift
    trouble: str
    def __init__(self, link: _Optional[_Union[Link, _Mapping]] = ..., rate: _Optional[float] = ..., plan: _Optional[str] = ..., epoch: _Optional[int] = ..., counter: _Optional[int] = ..., edge: _Optional[str] = ..., queue: _Optional[int] = ..., answered: _Optional[_Union[Answered, _Mapping]] = ..., latency: _Optional[float] = ..., wire_bytes: _Optional[int] = ..., paces: _Optional[_Iterable[_Union[Pace, _Mapping]]] = ..., drift: _Optional[_Union[Drift, _Mapping]] = ..., trouble: _Optional[str] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("bandwidth", "bandwidth_low", "bandwidth_high", "round_trip", "round_trip_deviation", "edge", "age", "changes")
    BANDWIDTH_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_LOW_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_HIGH_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    bandwidth: float
    bandwidth_low: float
    bandwidth_high: float
    round_trip: float
    round_trip_deviation: float
    edge: float
    age: float
    changes: int
    def __init__(self, bandwidth: _Optional[float] = ..., bandwidth_low: _Optional[float] = ..., bandwidth_high: _Optional[float] = ..., round_trip: _Optional[float] = ..., round_trip_deviation: _Optional[float] = ..., edge: _Optional[float] = ..., age: _Optional[float] = ..., changes: _Optional[int] = ...) -> None: ...

class Answered(_message.Message):
    __slots__ = ("device", "edge", "degraded", "rejected")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    device: int
    edge: int
    degraded: int
    rejected: int
    def __init__(self, device: _Optional[int] = ..., edge: _Optional[int] = ..., degraded: _Optional[int] = ..., rejected: _Optional[int] = ...) -> None: ...

class Pace(_message.Message):
    __slots__ = ("name", "seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    seconds: float
    def __init__(self, name: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class Drift(_message.Message):
    __slots__ = ("agreement", "low", "high", "shadows", "caution", "event")
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SHADOWS_FIELD_NUMBER: _ClassVar[int]
    CAUTION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    agreement: float
    low: float
    high: float
    shadows: int
    caution: int
    event: str
    def __init__(self, agreement: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., shadows: _Optional[int] = ..., caution: _Optional[int] = ..., event: _Optional[str] = ...) -> None: ...

class DeviceOrder(_message.Message):
    __slots__ = ("plan", "epoch", "counter", "model_digest", "bundle", "edge", "sources", "predicted", "predicted_p95", "agreement", "why")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_P95_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    plan: str
    epoch: int
    counter: int
    model_digest: str
    bundle: str
    edge: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    predicted: float
    predicted_p95: float
    agreement: float
    why: str
    def __init__(self, plan: _Optional[str] = ..., epoch: _Optional[int] = ..., counter: _Optional[int] = ..., model_digest: _Optional[str] = ..., bundle: _Optional[str] = ..., edge: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ..., predicted: _Optional[float] = ..., predicted_p95: _Optional[float] = ..., agreement: _Optional[float] = ..., why: _Optional[str] = ...) -> None: ...

class EdgeFrame(_message.Message):
    __slots__ = ("hello", "report")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    hello: EdgeHello
    report: EdgeReport
    def __init__(self, hello: _Optional[_Union[EdgeHello, _Mapping]] = ..., report: _Optional[_Union[EdgeReport, _Mapping]] = ...) -> None: ...

class EdgeHello(_message.Message):
    __slots__ = ("name", "address", "bundles", "report")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    bundles: _containers.RepeatedCompositeFieldContainer[EdgeBundle]
    report: EdgeReport
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., bundles: _Optional[_Iterable[_Union[EdgeBundle, _Mapping]]] = ..., report: _Optional[_Union[EdgeReport, _Mapping]] = ...) -> None: ...

class EdgeBundle(_message.Message):
    __slots__ = ("model_digest", "name", "profile")
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    model_digest: str
    name: str
    profile: bytes
    def __init__(self, model_digest: _Optional[str] = ..., name: _Optional[str] = ..., profile: _Optional[bytes] = ...) -> None: ...

class EdgeReport(_message.Message):
    __slots__ = ("wait", "busy", "rate", "queue", "price", "paces", "stopping")
    WAIT_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    PACES_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    wait: float
    busy: float
    rate: float
    queue: int
    price: float
    paces: _containers.RepeatedCompositeFieldContainer[EdgePaces]
    stopping: bool
    def __init__(self, wait: _Optional[float] = ..., busy: _Optional[float] = ..., rate: _Optional[float] = ..., queue: _Optional[int] = ..., price: _Optional[float] = ..., paces: _Optional[_Iterable[_Union[EdgePaces, _Mapping]]] = ..., stopping: _Optional[bool] = ...) -> None: ...

class EdgePaces(_message.Message):
    __slots__ = ("model_digest", "paces")
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PACES_FIELD_NUMBER: _ClassVar[int]
    model_digest: str
    paces: _containers.RepeatedCompositeFieldContainer[Pace]
    def __init__(self, model_digest: _Optional[str] = ..., paces: _Optional[_Iterable[_Union[Pace, _Mapping]]] = ...) -> None: ...

class EdgeOrder(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class ManifestRequest(_message.Message):
    __slots__ = ("bundle",)
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    def __init__(self, bundle: _Optional[str] = ...) -> None: ...

class ManifestReply(_message.Message):
    __slots__ = ("manifest",)
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    manifest: bytes
    def __init__(self, manifest: _Optional[bytes] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("model_digest", "file", "offset")
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    model_digest: str
    file: str
    offset: int
    def __init__(self, model_digest: _Optional[str] = ..., file: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
