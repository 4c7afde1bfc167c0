"""Training of OpenGen's embedded text-to-image model: data, models, loops, export, evaluation."""
