"""pure: plan -> sbatch text, backend config text, Markdown, HTML, log text"""
