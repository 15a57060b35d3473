"""What an operator holds in the hand: one file a device, all giving the same `Reading`."""
