"""REST endpoints of costs and prices."""
