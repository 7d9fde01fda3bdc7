"""ISIC 2020: 32,701 dermoscopic images of 2,056 patients, benign or malignant."""
