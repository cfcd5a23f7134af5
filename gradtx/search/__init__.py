"""Line searches, L-BFGS, Newton-CG, and the loop that solves a smooth problem with them."""
