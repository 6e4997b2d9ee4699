#!/usr/bin/env bash
# make_suite.sh TARGET: what run_suite.sh needs: the tests in a folder of their own, and what they import, here and there.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 arm=build/arm
rm -rf $arm/suite $arm/{$target,x86_64}/dist
for one in $target x86_64; do
    deploy/build_wheel.sh $one $arm/$one/dist
    deploy/site.sh $one $arm/$one/dist/*.whl $arm/$one/site
done
deploy/copy_tree.sh $arm/suite tests zoo csrc docs "benchmarks/*.py" pyproject.toml
