"""Reports: records in, one page that needs no network, figures and tables out."""
