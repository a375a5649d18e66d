from django.urls import include, path

urlpatterns = [path("", include("bakery.urls"))]
