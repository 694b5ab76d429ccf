from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientFrame(_message.Message):
    __slots__ = ("bind", "request", "ping")
    BIND_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    bind: Bind
    request: Request
    ping: Ping
    def __init__(self, bind: _Optional[_Union[Bind, _Mapping]] = ..., request: _Optional[_Union[Request, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("bound", "answer", "pong")
    BOUND_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    bound: Bound
    answer: Answer
    pong: Pong
    def __init__(self, bound: _Optional[_Union[Bound, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ...) -> None: ...

class Binding(_message.Message):
    __slots__ = ("model_digest", "split", "codec", "tensors", "top_k", "epoch", "counter", "tail", "queue")
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    model_digest: bytes
    split: int
    codec: str
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    top_k: int
    epoch: int
    counter: int
    tail: str
    queue: int
    def __init__(self, model_digest: _Optional[bytes] = ..., split: _Optional[int] = ..., codec: _Optional[str] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., top_k: _Optional[int] = ..., epoch: _Optional[int] = ..., counter: _Optional[int] = ..., tail: _Optional[str] = ..., queue: _Optional[int] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("shape", "dtype")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ...) -> None: ...

class Bind(_message.Message):
    __slots__ = ("ref", "binding")
    REF_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    ref: int
    binding: Binding
    def __init__(self, ref: _Optional[int] = ..., binding: _Optional[_Union[Binding, _Mapping]] = ...) -> None: ...

class Bound(_message.Message):
    __slots__ = ("ref", "error")
    REF_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ref: int
    error: Error
    def __init__(self, ref: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("ref", "id", "budget_us", "payload", "alive")
    REF_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_US_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    ref: int
    id: int
    budget_us: int
    payload: bytes
    alive: bytes
    def __init__(self, ref: _Optional[int] = ..., id: _Optional[int] = ..., budget_us: _Optional[int] = ..., payload: _Optional[bytes] = ..., alive: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("id", "logits", "classes", "queue_us", "decode_us", "compute_us", "batch", "error", "exit", "label")
    ID_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_US_FIELD_NUMBER: _ClassVar[int]
    DECODE_US_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_US_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    id: int
    logits: bytes
    classes: _containers.RepeatedScalarFieldContainer[int]
    queue_us: int
    decode_us: int
    compute_us: int
    batch: int
    error: Error
    exit: int
    label: int
    def __init__(self, id: _Optional[int] = ..., logits: _Optional[bytes] = ..., classes: _Optional[_Iterable[int]] = ..., queue_us: _Optional[int] = ..., decode_us: _Optional[int] = ..., compute_us: _Optional[int] = ..., batch: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., exit: _Optional[int] = ..., label: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("id", "padding")
    ID_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    id: int
    padding: bytes
    def __init__(self, id: _Optional[int] = ..., padding: _Optional[bytes] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class InferRequest(_message.Message):
    __slots__ = ("binding", "budget_us", "payload", "alive")
    BINDING_FIELD_NUMBER: _ClassVar[int]
    BUDGET_US_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    binding: Binding
    budget_us: int
    payload: bytes
    alive: bytes
    def __init__(self, binding: _Optional[_Union[Binding, _Mapping]] = ..., budget_us: _Optional[int] = ..., payload: _Optional[bytes] = ..., alive: _Optional[bytes] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeReply(_message.Message):
    __slots__ = ("bundles",)
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    bundles: _containers.RepeatedCompositeFieldContainer[Served]
    def __init__(self, bundles: _Optional[_Iterable[_Union[Served, _Mapping]]] = ...) -> None: ...

class Served(_message.Message):
    __slots__ = ("model_digest", "name", "cuts")
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUTS_FIELD_NUMBER: _ClassVar[int]
    model_digest: bytes
    name: str
    cuts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model_digest: _Optional[bytes] = ..., name: _Optional[str] = ..., cuts: _Optional[_Iterable[str]] = ...) -> None: ...
