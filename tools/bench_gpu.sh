#!/usr/bin/env bash
# The GPU's tests and figures, on a machine with one NVIDIA card and whatever Python has torch there; no network needed.
#   tools/bench_gpu.sh [FOLDER]      or OUT=FOLDER tools/bench_gpu.sh; PYTHON=... picks another Python
# Changes nothing outside the folder. Written, never run on a card so far.
set -u
out=${1:-${OUT:-gpu-bench}}
python=${PYTHON:-python3}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.." || exit 1
cache=$(mktemp -d "$out/cache.XXXXXX") || exit 1
trap 'rm -rf "$cache"' EXIT
export LIVELAV_CACHE="$cache" PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
{
    date -u
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
    "$python" - <<'PYTHON'
import importlib.metadata
import platform

print("python", platform.python_version())
for name in ("torch", "tensorrt-cu13", "tensorrt-rtx-cu13", "openvino", "onnx", "onnxruntime", "numpy"):
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "not installed")
PYTHON
} >"$out/machine.txt" 2>&1
failed=0
"$python" -m pytest -q -rs -p no:cacheprovider tests/test_generate_backends.py -k cuda >"$out/tests.txt" 2>&1 || failed=1
"$python" -m pytest -q -rs -p no:cacheprovider tests/test_engines.py -k "tensorrt or cards" >>"$out/tests.txt" 2>&1 || failed=1
"$python" -m livelav bench --large --seconds 20 >"$out/engines.md" 2>"$out/errors.txt" || failed=1
"$python" -m livelav bench --large --seconds 20 --json >"$out/engines.json" 2>>"$out/errors.txt" || failed=1
cat "$out/machine.txt" "$out/tests.txt" "$out/engines.md"
exit $failed
