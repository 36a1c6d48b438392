"""What the notebooks and scripts share: the wine domain and the connection to Hopsworks."""
