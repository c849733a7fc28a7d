"""The app's own front-end parts: picture input, exact canvas, heat map, film."""
