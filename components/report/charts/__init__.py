"""Charts of the report: plain functions from figures to inline SVG, styled by the page's CSS."""
