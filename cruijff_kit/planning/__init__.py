"""pure: factors x grid -> runs; run ids; resources; memory, time and power estimates"""
