"""What every topic needs: pictures, devices, turns, memory, the catalogue and its downloads."""
