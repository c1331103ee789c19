"""From measurements to one page, a table, and a verdict."""
