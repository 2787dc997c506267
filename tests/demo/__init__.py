"""The demo: the whole job on private servers, told on one screen."""
