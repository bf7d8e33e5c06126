"""Learning layers of causes: with a recognition network, or one by one as restricted machines."""
