"""pure: ResultTable -> findings, comparisons, table and plot data"""
