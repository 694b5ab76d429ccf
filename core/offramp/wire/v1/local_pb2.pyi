from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AdoptRequest(_message.Message):
    __slots__ = ("plan", "epoch", "counter")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    plan: str
    epoch: int
    counter: int
    def __init__(self, plan: _Optional[str] = ..., epoch: _Optional[int] = ..., counter: _Optional[int] = ...) -> None: ...

class AdoptReply(_message.Message):
    __slots__ = ("plan", "epoch", "counter")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    plan: str
    epoch: int
    counter: int
    def __init__(self, plan: _Optional[str] = ..., epoch: _Optional[int] = ..., counter: _Optional[int] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("stream", "raw", "image")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    stream: str
    raw: bytes
    image: bytes
    def __init__(self, stream: _Optional[str] = ..., raw: _Optional[bytes] = ..., image: _Optional[bytes] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("stream", "index", "answered", "label", "label_name", "confidence", "latency", "exit", "payload_bytes", "wire_bytes", "reason", "revision")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    WIRE_BYTES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    stream: str
    index: int
    answered: str
    label: int
    label_name: str
    confidence: float
    latency: float
    exit: int
    payload_bytes: int
    wire_bytes: int
    reason: str
    revision: str
    def __init__(self, stream: _Optional[str] = ..., index: _Optional[int] = ..., answered: _Optional[str] = ..., label: _Optional[int] = ..., label_name: _Optional[str] = ..., confidence: _Optional[float] = ..., latency: _Optional[float] = ..., exit: _Optional[int] = ..., payload_bytes: _Optional[int] = ..., wire_bytes: _Optional[int] = ..., reason: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...
