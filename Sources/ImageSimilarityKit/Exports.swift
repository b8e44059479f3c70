@_exported public import ImageSimilarityCore
@_exported public import ImageSimilarityFiles
@_exported public import ImageSimilarityNN
@_exported public import ImageSimilaritySearch
@_exported public import ImageSimilarityVips
