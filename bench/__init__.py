"""Speed and scale, measured side by side with peers. Not installed with the product."""
