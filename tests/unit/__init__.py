"""The build itself: settings, zips, templates as text, the command line."""
