"""Everything that lets code for InnerEye-DeepLearning, Lightning 1 and param 1 run unchanged."""
