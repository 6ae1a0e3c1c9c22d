"""Speed of the running platform, as ratios to what this machine can do at best. See README.md beside this file."""
