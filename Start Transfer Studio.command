#!/bin/sh
# Double-click this file on a Mac to start Transfer Studio. On Linux, its .desktop file runs it.

say_and_wait() {
  printf '\n%s\nPress Enter to close this window. ' "$1"
  read -r _answer
  exit 1
}

cd "$(dirname "$0")" && [ -f start.py ] || say_and_wait "Put this file beside start.py, then open it again."

# Programs that are opened from a desktop may miss the places where Python is installed.
for version in 3.13 3.12 3.11 3.10; do
  PATH="$PATH:/Library/Frameworks/Python.framework/Versions/$version/bin"
done
PATH="$PATH:/usr/local/bin:/opt/homebrew/bin:$HOME/.local/bin"

for python in python3.13 python3.12 python3.11 python3.10 python3; do
  # A Mac without developer tools has a python3 that only offers to install them.
  [ "$(uname):$(command -v "$python")" = "Darwin:/usr/bin/python3" ] && continue
  if "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
    "$python" start.py "$@" || say_and_wait "Transfer Studio has ended."
    exit 0
  fi
done
say_and_wait "Transfer Studio needs Python 3.10 to 3.13. Install Python 3.13 from python.org, then open this file again."
