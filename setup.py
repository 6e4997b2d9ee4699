"""The compiled part of the build; everything else is in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["csrc/build_kernels.py:ffi"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
