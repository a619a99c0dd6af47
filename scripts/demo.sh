#!/bin/sh
# make demo: see demo.py, which tells the story.
exec /usr/bin/env python3 "$(dirname "$0")/demo.py"
