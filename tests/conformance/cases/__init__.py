"""Small Lightning modules, data modules and callbacks: one hook or idiom each."""
