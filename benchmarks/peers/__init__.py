"""Programs that streambank is measured against."""
