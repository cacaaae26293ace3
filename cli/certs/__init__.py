"""``ffrtmp certs``: an authority of the farm's own, and the certificates it issues."""
