# make demo   from a fresh machine to a policy that reinforcement learning has worked on: table, curves, video
# make test   style, types and tests
# make check  style and types only
# make setup  the environment alone: virtual environment, packages, Vulkan driver (the others call it)
# make docs   the documentation as a site in site/, strictly: a broken link fails (SERVE=1: show it while you write)
# make ros    ROS 2 from wheels into that environment, and our messages (`make test` calls it)
#
# Options: VENV=.venv PYTHON=python3 PIP_ARGS="..." MINUTES=18

VENV ?= .venv
MINUTES ?= 18
export VENV

.PHONY: help setup ros demo docs test check
help:
	@sed -n 's/^# \{0,1\}//p' Makefile

setup:
	@bash scripts/setup.sh

demo: setup
	@"$(VENV)/bin/python" -m rlvla demo --minutes $(MINUTES) --name demo

ros: setup
	@bash scripts/ros.sh

docs: setup
	@bash scripts/docs.sh

test: ros
	@bash scripts/test.sh

check: setup
	@bash scripts/check.sh
