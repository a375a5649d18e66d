from django.contrib.staticfiles.views import serve
from django.urls import path

from . import views

urlpatterns = [
    path("", views.today, name="today"),
    path("up", views.up, name="up"),
    # Where no web server stands in front: it would serve these itself.
    path("static/<path:path>", serve, {"insecure": True}),
]
