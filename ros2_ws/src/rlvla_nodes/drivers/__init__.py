"""Drivers of arms, one file an arm: the only modules that know a vendor's client or the simulator."""
