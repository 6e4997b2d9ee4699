from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InferRequest(_message.Message):
    __slots__ = ("system", "frame_id", "bundle_hash", "model", "second_round", "payloads")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    FRAME_ID_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SECOND_ROUND_FIELD_NUMBER: _ClassVar[int]
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    system: str
    frame_id: int
    bundle_hash: bytes
    model: str
    second_round: SecondRound
    payloads: _containers.RepeatedCompositeFieldContainer[Payload]
    def __init__(self, system: _Optional[str] = ..., frame_id: _Optional[int] = ..., bundle_hash: _Optional[bytes] = ..., model: _Optional[str] = ..., second_round: _Optional[_Union[SecondRound, _Mapping]] = ..., payloads: _Optional[_Iterable[_Union[Payload, _Mapping]]] = ...) -> None: ...

class SecondRound(_message.Message):
    __slots__ = ("below", "patches")
    BELOW_FIELD_NUMBER: _ClassVar[int]
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    below: float
    patches: int
    def __init__(self, below: _Optional[float] = ..., patches: _Optional[int] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("image", "patches", "features", "samples", "requested", "latent")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    LATENT_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    patches: bytes
    features: bytes
    samples: bytes
    requested: bytes
    latent: bytes
    def __init__(self, image: _Optional[bytes] = ..., patches: _Optional[bytes] = ..., features: _Optional[bytes] = ..., samples: _Optional[bytes] = ..., requested: _Optional[bytes] = ..., latent: _Optional[bytes] = ...) -> None: ...

class InferReply(_message.Message):
    __slots__ = ("probabilities", "model", "timings_ms", "queue_length", "ask")
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    model: str
    timings_ms: Timings
    queue_length: int
    ask: Ask
    def __init__(self, probabilities: _Optional[_Iterable[float]] = ..., model: _Optional[str] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., queue_length: _Optional[int] = ..., ask: _Optional[_Union[Ask, _Mapping]] = ...) -> None: ...

class Ask(_message.Message):
    __slots__ = ("session", "bitmap")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    BITMAP_FIELD_NUMBER: _ClassVar[int]
    session: bytes
    bitmap: bytes
    def __init__(self, session: _Optional[bytes] = ..., bitmap: _Optional[bytes] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("decode", "queue", "compute")
    DECODE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    decode: float
    queue: float
    compute: float
    def __init__(self, decode: _Optional[float] = ..., queue: _Optional[float] = ..., compute: _Optional[float] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeReply(_message.Message):
    __slots__ = ("bundle_hash", "default_model", "models", "classes", "payload_kinds", "frame_size", "patch_size", "max_frames")
    BUNDLE_HASH_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_KINDS_FIELD_NUMBER: _ClassVar[int]
    FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    PATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    bundle_hash: bytes
    default_model: str
    models: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[str]
    payload_kinds: _containers.RepeatedScalarFieldContainer[str]
    frame_size: int
    patch_size: int
    max_frames: int
    def __init__(self, bundle_hash: _Optional[bytes] = ..., default_model: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[str]] = ..., payload_kinds: _Optional[_Iterable[str]] = ..., frame_size: _Optional[int] = ..., patch_size: _Optional[int] = ..., max_frames: _Optional[int] = ...) -> None: ...
